use tombolo_connector::{ErrorCode, Options};

use super::client::failure;
use super::config::{self, Config, Tls};

#[test]
fn a_permission_that_lacks_is_told_for_what_it_is() {
    let told = |number: u16, message: &str| {
        let packet = [&[0xff], number.to_le_bytes().as_slice(), b"#42000", message.as_bytes()].concat();
        let error = failure(&packet);
        assert_eq!(error.code(), ErrorCode::PermissionDenied, "{error}");
        error.hint().unwrap_or_default().to_owned()
    };
    assert!(told(1142, "SELECT command denied to user 'r'@'%' for table `s`.`t`").contains("Grant the user SELECT"));
    assert!(told(1142, "DELETE command denied to user 'r'@'%' for table `s`.`t`").contains("only read"));
    assert!(told(1142, "INSERT, UPDATE command denied to user 'r'@'%' for table 't'").contains("only read"));
    assert!(told(1044, "Access denied for user 'r'@'%' to database 'shopp'").contains("`database`"));
}

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

#[test]
fn only_what_leaves_the_machine_is_encrypted_unasked() {
    let tls = |host: &str, tls: Option<&str>| {
        let options = Options::default().with("host", host);
        let options = if let Some(tls) = tls { options.with("tls", tls) } else { options };
        Config::try_new(&options).unwrap().tls
    };
    for host in ["localhost", "127.0.0.1", "127.1.2.3", "::1", "/run/mysqld/mysqld.sock"] {
        assert_eq!(tls(host, None), Tls::Local, "{host}");
        assert_eq!(tls(host, Some("auto")), Tls::Local, "{host}");
        assert_eq!(tls(host, Some("verify")), Tls::Verify, "{host}");
    }
    for host in ["db.example.org", "localhost.example.org", "10.0.0.1", "::2"] {
        assert_eq!(tls(host, None), Tls::Verify, "{host}");
        assert_eq!(tls(host, Some("off")), Tls::Off, "{host}");
    }
}
