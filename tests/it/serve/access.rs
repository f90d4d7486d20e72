//! Who may ask: keys, hosts and origins.

use super::problem;
use crate::service::spawn_app;
use goodnet::serve::control::Event;
use goodnet::serve::http::keys::Keys;

#[test]
fn keys_are_asked_for_everywhere_but_at_the_probes_and_the_empty_page() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "a-key-of-some-length\n").unwrap();
    let keys = goodnet::serve::http::keys::Keys::from_file(file.path()).unwrap();
    let app = spawn_app(|config| config.access.keys = Some(keys));
    for path in ["/healthz", "/", "/docs", "/ui/app.js"] {
        assert_eq!(app.get(path).status(), 200, "{path}");
    }
    for path in [
        "/info",
        "/metrics",
        "/sweep",
        "/samples/clean_1.png",
        "/ui/nothing.js",
        "/openapi.json",
        "/nowhere",
    ] {
        assert_eq!(
            problem(app.get(path)),
            (401, "unauthorized".to_owned()),
            "{path}"
        );
    }
    let with = |key: &str| {
        app.client
            .get(app.at("/info"))
            .header("authorization", key)
            .send()
            .unwrap()
    };
    for wrong in [
        "Bearer another-key-of-it",
        "a-key-of-some-length",
        "Basic a-key-of-some-length",
        "Bearer ",
    ] {
        assert_eq!(with(wrong).status(), 401, "{wrong}");
    }
    assert_eq!(with("Bearer a-key-of-some-length").status(), 200);
}

#[test]
fn the_api_page_loads_without_a_key_and_asks_for_one() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "a-key-of-some-length\n").unwrap();
    let keys = goodnet::serve::http::keys::Keys::from_file(file.path()).unwrap();
    let app = spawn_app(|config| config.access.keys = Some(keys));
    let page = app.get("/docs").text().unwrap();
    assert!(page.contains("id=\"key-form\"") && page.contains("ui/docs.js"));
    // Every file that the pages load comes without a key, and every document that they link to comes with one alone.
    for page in ["/", "/docs"] {
        let text = app.get(page).text().unwrap();
        let links = text
            .split(['"', '\''])
            .filter(|part| part.starts_with("ui/"));
        for asset in links {
            assert_eq!(app.get(&format!("/{asset}")).status(), 200, "{asset}");
        }
        let fetched = text
            .split("<a ")
            .filter(|link| link.contains("data-fetched"));
        for link in fetched {
            let path = format!("/{}", link.split('"').nth(1).unwrap());
            assert_eq!(app.get(&path).status(), 401, "{path}");
            let request = app.client.get(app.at(&path));
            let status = request
                .bearer_auth("a-key-of-some-length")
                .send()
                .unwrap()
                .status();
            // The audit is there only where the bundle has one.
            assert!(status == 200 || path == "/audit", "{path}: {status}");
        }
    }
    let refused = app.client.get(app.at("/openapi.json"));
    let refused = refused.bearer_auth("another-key-of-it").send().unwrap();
    assert_eq!(
        refused.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .split(' ')
            .next(),
        Some("Bearer")
    );
    assert_eq!(problem(refused), (401, "unauthorized".to_owned()));
}

#[test]
fn a_key_that_was_taken_out_of_the_file_opens_nothing_after_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    let keys = ["first-key-0123456789", "second-key-0123456789"];
    std::fs::write(&file, keys.join("\n")).unwrap();
    let app = spawn_app(|config| {
        config.access.keys = Some(Keys::from_file(&file).unwrap());
        config.access.keys_file = Some(file.clone());
    });
    let status = |key: &str| {
        let request = app.client.get(app.at("/info")).bearer_auth(key);
        request.send().unwrap().status().as_u16()
    };
    assert_eq!(keys.map(status), [200, 200]);
    std::fs::write(&file, keys[1]).unwrap();
    app.tell(Event::Reload);
    app.wait_for("the key is revoked", || status(keys[0]) == 401);
    assert_eq!(status(keys[1]), 200);
    std::fs::write(&file, "short").unwrap();
    app.tell(Event::Reload);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(
        status(keys[1]),
        200,
        "a file that is no use changes nothing"
    );
}

#[test]
fn a_probe_may_name_any_host() {
    let app = spawn_app(|config| {
        config.access.allowed_hosts = Some(vec!["goodnet.example".to_owned()]);
    });
    let status = |path: &str, host: &str| {
        let request = app.client.get(app.at(path)).header("host", host);
        request.send().unwrap().status().as_u16()
    };
    assert_eq!(status("/info", "goodnet.example"), 200);
    assert_eq!(status("/info", "10.0.0.7:8080"), 421);
    for path in ["/healthz", "/readyz", "/v2/health/ready"] {
        assert_eq!(status(path, "10.0.0.7:8080"), 200, "{path}");
    }
}

#[test]
fn pages_of_named_origins_may_ask_and_no_others() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "a-key-of-some-length\n").unwrap();
    let app = spawn_app(|config| {
        let keys = goodnet::serve::http::keys::Keys::from_file(file.path());
        config.access.keys = Some(keys.unwrap());
        config.access.allowed_hosts = Some(vec!["127.0.0.1".to_owned()]);
        let origin = goodnet::serve::http::cors::Origin::parse("https://app.example");
        config.access.cors_origins = vec![origin.unwrap()];
    });
    let asked = |origin: &str| {
        let method = reqwest::Method::OPTIONS;
        let request = app.client.request(method, app.at("/classify"));
        let request = request
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header(
                "access-control-request-headers",
                "authorization, content-type",
            );
        request.send().unwrap()
    };
    let allowed = |answer: &reqwest::blocking::Response| {
        let origin = answer.headers().get("access-control-allow-origin");
        origin.map(|origin| origin.to_str().unwrap().to_owned())
    };
    let answer = asked("https://app.example");
    assert_eq!(answer.status(), 200, "without a key: browsers send none");
    assert_eq!(allowed(&answer).as_deref(), Some("https://app.example"));
    let headers = &answer.headers()["access-control-allow-headers"];
    assert!(headers.to_str().unwrap().contains("authorization"));
    for origin in ["https://app.example.org", "http://app.example", "null"] {
        let answer = asked(origin);
        assert_eq!(answer.status(), 421, "{origin}");
        assert_eq!(allowed(&answer), None, "{origin}");
    }
    let info = |key: &str| {
        let request = app.client.get(app.at("/info")).bearer_auth(key);
        request
            .header("origin", "https://app.example")
            .send()
            .unwrap()
    };
    let (answer, refused) = (info("a-key-of-some-length"), info("another-key"));
    assert_eq!([answer.status(), refused.status()], [200, 401]);
    for answer in [answer, refused] {
        assert_eq!(allowed(&answer).as_deref(), Some("https://app.example"));
        assert!(
            answer
                .headers()
                .get_all("vary")
                .iter()
                .any(|vary| vary == "origin" || vary.to_str().unwrap().contains("origin"))
        );
    }
}

#[test]
fn no_page_from_elsewhere_may_ask_unless_it_is_named() {
    let app = spawn_app(|_| {});
    let request = app.client.get(app.at("/info"));
    let answer = request
        .header("origin", "https://app.example")
        .send()
        .unwrap();
    assert!(
        answer
            .headers()
            .get("access-control-allow-origin")
            .is_none()
    );
}
