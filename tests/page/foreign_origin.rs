//! A page of another site that is open in the same browser gets nothing.

use sched_tests::browser::in_a_browser;
use sched_tests::bus::Bus;

use crate::scene::open;
use crate::site::Site;

/// How a WebSocket to the bus ends: opened, or refused.
fn handshake(bus: &Bus) -> String {
    let url = format!("ws://{}/", bus.address);
    format!(
        "new Promise(resolve => {{
            const socket = new WebSocket('{url}');
            socket.onopen = () => {{ resolve('opened'); socket.close(); }};
            socket.onerror = () => resolve('refused');
        }})"
    )
}

#[test]
fn the_page_of_another_site_is_refused() {
    in_a_browser(async |tab| {
        let (bus, site) = (Bus::start().await, Site::start().await);
        tab.expects("WebSocket connection to");
        tab.visit(site.address, "").await;
        assert_eq!(tab.text(&handshake(&bus)).await, "refused");
        let stats = bus.until(|now| now.refused == 1).await;
        assert_eq!(stats.connected, 0);

        // The same from the page of the bus, so that it was the origin that counted.
        open(tab, &bus).await;
        assert_eq!(tab.text(&handshake(&bus)).await, "opened");
        let stats = bus.until(|now| now.connected >= 2).await;
        assert_eq!(stats.refused, 1);
        bus
    });
}
