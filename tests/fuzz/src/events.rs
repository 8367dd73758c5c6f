//! A reader of server-sent events that shares no code with the writer.

/// The events of a stream, by WHATWG HTML 9.2.6: their types and their data.
pub(crate) fn read(text: &str) -> Vec<(String, String)> {
    let mut events = Vec::new();
    let (mut kind, mut data) = (String::new(), String::new());
    for line in text.replace("\r\n", "\n").replace('\r', "\n").split('\n') {
        if line.is_empty() {
            if !data.is_empty() {
                // The last line feed is not a part of the data.
                data.pop();
                events.push((std::mem::take(&mut kind), std::mem::take(&mut data)));
            }
            kind.clear();
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut kind),
            "data" => {
                data += value;
                data.push('\n');
            }
            _ => {}
        }
    }
    events
}
