use super::config;

#[test]
fn urls_are_read() {
    let options = |url: &str| config::parse_url(url).unwrap();
    let read = options("postgres://ann:p%40ss%2Fword@db.example.org:6432/shop?sslmode=verify-full").unwrap();
    let text = |name: &str| read.text(name).map(str::to_owned);
    assert_eq!(text("host").as_deref(), Some("db.example.org"));
    assert_eq!(text("user").as_deref(), Some("ann"));
    assert_eq!(text("password").as_deref(), Some("p@ss/word"));
    assert_eq!(text("database").as_deref(), Some("shop"));
    assert_eq!(text("tls").as_deref(), Some("verify"));
    assert_eq!(read.integer("port"), Some(6432));
    assert!(config::parse_url("mysql://localhost").is_none());
    let error = options("postgres://ann:secret@db/shop?sslmode=strange").unwrap_err();
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}
