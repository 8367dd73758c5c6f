"""Reads a stream and resumes where it stopped: python reader.py STREAM_URL OFFSET_FILE"""

import pathlib
import sys

from durable_streams import stream

url, file = sys.argv[1], pathlib.Path(sys.argv[2])
offset = file.read_text() if file.exists() else "-1"

messages = 0
with stream(url, offset=offset, live=False) as response:
    for batch in response.iter_json_batches():
        messages += len(batch)
    file.write_text(response.offset)
print(f"read {messages} messages")
