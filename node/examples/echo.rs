//! A bot that answers: it repeats what others say, in the room where they say it.
//!
//! `LANYARD_PASSWORD=… cargo run -p lanyard-node --example echo -- 'lanyard://…' NAME`

use lanyard_node::{Draft, JoinRequest, NodeEvent, Via, join};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [link, username] = args.as_slice() else { return Err("usage: echo LINK NAME".into()) };
    let request = JoinRequest {
        link: link.parse()?,
        username: username.clone(),
        // Without a password, the ticket of an earlier run must do.
        password: std::env::var("LANYARD_PASSWORD").ok().map(Into::into),
        nickname: Some("Echo".to_owned()),
        profile: format!("profile-of-{username}").into(),
        listen: Vec::new(),
    };
    let node = join(request, |_step| ()).await?.node;
    let mut events = node.events();
    loop {
        match events.recv().await? {
            // Not what came by reconciliation: that was said while nobody answered.
            NodeEvent::Message(message) if message.via == Via::Gossip => {
                let answer = format!("{}: {}", message.nickname, message.body.text);
                node.send(Draft::new(&message.room, answer)).await?;
            }
            NodeEvent::Ended(why) => return why.map_or(Ok(()), |refusal| Err(refusal.into())),
            _other => {}
        }
    }
}
