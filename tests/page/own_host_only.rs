//! The page needs nobody but its bus.

use sched_tests::browser::in_a_browser;

use crate::motley::Motley;
use crate::scene::{open, shows_the_snapshot};

#[test]
fn every_request_goes_to_the_bus_and_the_policy_of_the_page_forbids_others() {
    in_a_browser(async |tab| {
        let motley = Motley::new().await;
        let host = motley.bus.address;
        open(tab, &motley.bus).await;
        shows_the_snapshot(tab, &motley.bus).await;
        let (page, socket) = (format!("http://{host}/"), format!("ws://{host}/"));
        let requests = tab.requests();
        assert!(requests.contains(&page.as_str()), "{requests:?}");
        assert!(requests.iter().any(|url| url.starts_with(&socket)), "{requests:?}");
        let own = |url: &str| url.starts_with(&page) || url.starts_with(&socket);
        assert!(requests.iter().all(|url| own(url)), "{requests:?}");

        // What the page would not do, it could not do either.
        tab.expects("Content Security Policy");
        tab.expects("Refused to");
        let forbidden = "Promise.all([
            new Promise(done => document.addEventListener('securitypolicyviolation',
                event => done(event.effectiveDirective))),
            fetch('http://127.0.0.1:9/').then(() => 'fetched', () => 'refused'),
        ]).then(([directive, fetched]) => `${directive} ${fetched}`)";
        assert_eq!(tab.text(forbidden).await, "connect-src refused");
        let inline = "new Promise(done => {
            document.addEventListener('securitypolicyviolation', event => done(event.effectiveDirective));
            const script = document.createElement('script');
            script.textContent = 'window.harmed = 1';
            document.body.append(script);
        }).then(directive => `${directive} ${window.harmed}`)";
        assert_eq!(tab.text(inline).await, "script-src-elem undefined");
        let foreign = format!("http://{host}");
        assert!(tab.requests().iter().all(|url| !url.contains(":9/") || url.starts_with(&foreign)));
        motley
    });
}
