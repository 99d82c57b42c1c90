use super::config;

#[test]
fn urls_are_read() {
    let options = |url: &str| config::parse_url(url).unwrap();
    let read = options("mysql://ann:p%40ss%2Fword@db.example.org:6033/shop?ssl-mode=VERIFY_IDENTITY").unwrap();
    let text = |name: &str| read.text(name).map(str::to_owned);
    assert_eq!(text("host").as_deref(), Some("db.example.org"));
    assert_eq!(text("user").as_deref(), Some("ann"));
    assert_eq!(text("password").as_deref(), Some("p@ss/word"));
    assert_eq!(text("database").as_deref(), Some("shop"));
    assert_eq!(text("tls").as_deref(), Some("verify"));
    assert_eq!(read.integer("port"), Some(6033));
    assert!(config::parse_url("mariadb://localhost").is_some());
    assert!(config::parse_url("postgres://localhost").is_none());
    let error = options("mysql://ann:secret@db/shop?ssl-mode=strange").unwrap_err();
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}
