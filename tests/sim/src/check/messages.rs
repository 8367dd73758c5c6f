//! Finding the messages of the simulation in the bytes of pages.

use crate::history::{Message, parse_message};

/// The messages of a JSON page.
pub(super) fn parse_array(bytes: &[u8]) -> Result<Vec<Message>, String> {
    let broken = || format!("no array of messages: {}", shown(bytes));
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let texts: Vec<String> = serde_json::from_slice(bytes).map_err(|_| broken())?;
    let messages = texts
        .iter()
        .map(|text| parse_message(text).ok_or_else(broken));
    messages.collect()
}

/// Takes whole messages from the front of `rest`.
pub(super) fn take_messages(rest: &mut Vec<u8>) -> Result<Vec<Message>, String> {
    let mut messages = Vec::new();
    let mut taken = 0;
    while let Some(length) = rest[taken..].iter().position(|byte| *byte == b'>') {
        let text = &rest[taken..taken + length];
        let message = std::str::from_utf8(text).ok();
        let message = message.and_then(|text| parse_message(text.strip_prefix('<')?));
        messages.push(message.ok_or_else(|| format!("no message: {}", shown(text)))?);
        taken += length + 1;
    }
    rest.drain(..taken);
    Ok(messages)
}

fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().take(80).collect()
}
