//! Spellings of addresses that must and must not pass.

use super::*;

#[test]
fn metadata_is_refused_in_every_spelling() {
    for url in [
        "http://169.254.169.254",
        "http://169.254.169.254.",
        "http://169.254.169.254:80/v1",
        "http://2852039166",
        "http://0xA9FEA9FE/",
        "http://0251.0376.0251.0376",
        "http://0xa9.0xfe.0xa9.0xfe",
        "http://169.254.43518",
        "http://169.16689662",
        "http://%31%36%39.254.169.254",
        "http://１６９.254.169.254",
        "http://169。254。169。254",
        "http://[::ffff:169.254.169.254]",
        "http://[::ffff:a9fe:a9fe]",
        "http://[0:0:0:0:0:FFFF:A9FE:A9FE]",
        "http://[::169.254.169.254]",
        "http://[64:ff9b::a9fe:a9fe]",
        "http://[2002:a9fe:a9fe::]",
        "http://[fe80::a9fe:a9fe]",
        "http://[fd00:ec2::254]",
        "http://[fd00:0ec2:0:0::0254]",
        "http://[fd20:ce::254]",
        "http://169.254.170.2",
        "http://100.100.100.200",
        "http://168.63.129.16",
        "http://metadata.google.internal",
        "http://METADATA.google.INTERNAL.",
        "http://metadata.google%2einternal",
        "http://metadata.goog/",
        "HTTP://Metadata/",
    ] {
        let problem = check_base_url(url).expect_err(url);
        assert!(problem.is_metadata, "{url}: {problem:?}");
    }
}

#[test]
fn anything_but_a_plain_http_url_is_refused() {
    for url in [
        "",
        "api.openai.com",
        "http:api.openai.com",
        "//api.openai.com",
        "ftp://host",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://",
        "https:///path",
        "https://user@host",
        "https://user:pw@host",
        "https://@host",
        "https://host?x=1",
        "https://host#x",
        "https://ho st",
        "https://host\\@evil",
        "https://host:99999",
        "https://host:0",
        "https://[::1",
    ] {
        let problem = check_base_url(url).expect_err(url);
        assert!(!problem.is_metadata, "{url}");
        assert!(!problem.message.contains("pw"), "{url}: {}", problem.message);
    }
}

#[test]
fn a_url_is_kept_without_slash_and_v1() {
    for (url, kept) in [
        ("https://api.openai.com", "https://api.openai.com"),
        ("https://api.openai.com/", "https://api.openai.com"),
        ("https://api.openai.com/v1", "https://api.openai.com"),
        ("https://API.openai.com:443/v1/", "https://api.openai.com"),
        ("http://127.0.0.1:8000/openai/v1", "http://127.0.0.1:8000/openai"),
        ("http://localhost:11434", "http://localhost:11434"),
    ] {
        assert_eq!(check_base_url(url).expect(url).normalised, kept);
    }
}

#[test]
fn plain_http_is_told_apart_by_host() {
    for (url, public) in [
        ("http://api.openai.com", true),
        ("http://8.8.8.8", true),
        ("https://api.openai.com", false),
        ("http://localhost", false),
        ("http://127.0.0.1", false),
        ("http://10.1.2.3", false),
        ("http://[::1]", false),
        ("http://vllm:8000", false),
        ("http://ollama.local", false),
    ] {
        assert_eq!(check_base_url(url).expect(url).plain_http_to_public_host, public, "{url}");
    }
}
