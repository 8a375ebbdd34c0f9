//! Reading in a real window: what is unread, as its title counts it.

use crate::desktop::Desktop;
use crate::programs::Realm;
use crate::real_typing::wait_until_in;
use crate::real_window::RealWindow;

#[test]
fn missed_messages_are_read_by_being_looked_at() {
    let Some(desktop) = Desktop::start() else { return };
    let realm = Realm::with(&["ada", "bob"]);
    realm.operate(&["policy", "set", "per-minute", "0"]);
    let mut bob = realm.join("bob");
    let ada = RealWindow::sign_in(&desktop, &realm, "ada");
    desktop.window_of(&ada.child);
    wait_until_in(&desktop, &mut bob);
    drop(ada);
    for number in 0..60 {
        bob.say(&format!("line {number}"));
    }
    let ada = RealWindow::sign_in(&desktop, &realm, "ada");
    let window = desktop.window_of(&ada.child);
    let unread = || -> Option<u32> {
        let title = desktop.title(&window);
        title.strip_prefix('(')?.split(')').next()?.parse().ok()
    };
    desktop.wait_until("the count of what is below the window", || {
        unread().is_some_and(|unread| (20..60).contains(&unread))
    });
    desktop.press("Escape");
    desktop.wait_until("that all is read at the newest", || unread().is_none());
}
