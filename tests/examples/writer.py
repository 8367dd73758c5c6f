"""Writes messages into a stream: python writer.py STREAM_URL [COUNT]

Stream-Seq makes a repeated append fail instead of being applied twice: the number has to grow.
"""

import sys

from durable_streams import DurableStream, SeqConflictError

url = sys.argv[1]
count = int(sys.argv[2]) if len(sys.argv) > 2 else 100

with DurableStream.create(url, content_type="application/json") as stream:
    for n in range(count):
        try:
            stream.append({"n": n}, seq=f"{n:012}")
        except SeqConflictError:
            pass  # An earlier run of this program wrote it.
print(f"wrote {count} messages")
