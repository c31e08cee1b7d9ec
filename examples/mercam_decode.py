#!/usr/bin/env python3
"""Reads mercam's wire format, version 2, with nothing but the standard library; prints one JSON object per event.
    python3 mercam_decode.py text events.txt         # JSON lines with a CRC
    python3 mercam_decode.py binary /dev/ttyUSB0     # binary frames; first: stty -F /dev/ttyUSB0 raw 115200
Each function and name below reads one piece. The format: docs/reference/wire.md. Acknowledging is for `mercam host`."""
import io, json, struct, sys, zlib
def take(f, n): return struct.unpack(f"{n}s", f.read(n))[0]  # struct.error when there are fewer
def uint(f):  # postcard's varint: seven bits at a time, the lowest first
    value, shift = 0, 0
    while (byte := take(f, 1)[0]) & 0x80: value, shift = value | (byte & 0x7F) << shift, shift + 7
    return value | byte << shift
def sint(f): return (n := uint(f)) >> 1 ^ -(n & 1)
def f32(f): return struct.unpack("<f", take(f, 4))[0]
def text(f): return take(f, uint(f)).decode()
def flag(f): return bool(take(f, 1)[0])
def one_of(names): return lambda f: names.split()[take(f, 1)[0]]
def many(item): return lambda f: [item(f) for _ in range(uint(f))]
def mapping(key, value): return lambda f: {key(f): value(f) for _ in range(uint(f))}
def maybe(read): return lambda f: read(f) if flag(f) else None
def fields(*of): return lambda f: {k: v for k, read in zip(of[::2], of[1::2]) if (v := read(f)) is not None}
component = one_of("right_brow left_brow nose right_eye left_eye mouth")
reason = one_of("blink macro too_short talking head_motion lighting occlusion lost_track rate_too_low gap model")
moment = fields("us", sint, "unix_us", maybe(sint))
rect = fields("x", f32, "y", f32, "width", f32, "height", f32)
model = fields("id", text, "precision", text, "sha256", text)
relations = many(fields("from", component, "to", component, "weight", f32))
detection = fields("id", uint, "face", uint, "onset", moment, "apex", moment, "offset", maybe(moment), "class", text,
                   "probabilities", mapping(text, f32), "actions", mapping(component, f32), "relations", relations,
                   "amplitude", f32, "component", component, "score", f32, "rate", f32, "quality", f32, "iod", f32,
                   "reason", maybe(reason), "model", model)
status = fields("frames", uint, "lost", uint, "rate", f32, "faces", uint, "rejected", mapping(reason, uint),
                "dropped", mapping(text, uint), "waiting", mapping(text, uint), "temperature_c", maybe(f32),
                "throttled", maybe(flag), "under_voltage", maybe(flag), "model", maybe(model))
kinds = {"provisional": detection, "confirmed": detection, "withdrawn": detection,
         "face_appeared": fields("face", uint, "at", moment, "bounds", rect, "relative", maybe(rect)),
         "face_left": fields("face", uint, "at", moment), "status": status}
def from_binary(frame):
    raw, at = b"", 0
    while at < len(frame):  # COBS: each code byte says how far it is to the next zero
        raw, at = raw + frame[at + 1:at + frame[at]] + b"\0" * (frame[at] < 255), at + frame[at]
    content, check = raw.removesuffix(b"\0")[:-4], raw.removesuffix(b"\0")[-4:]
    if zlib.crc32(content) != int.from_bytes(check, "little"): raise ValueError("damaged")
    version, kind = take(f := io.BytesIO(content), 2)
    if kind == 1: _stream, _id, _before, version = take(f, 8), uint(f), maybe(uint)(f), take(f, 1)[0]  # a record
    if version != 2 or kind > 1: return None  # of another version, or an acknowledgement
    head = {"v": 2, "device": text(f), "run": take(f, 8)[::-1].hex(), "seq": uint(f), "kind": list(kinds)[uint(f)]}
    return head | kinds[head["kind"]](f)
def from_text(line):
    content, _, check = line.strip().rpartition(b" *")
    return json.loads(content) if zlib.crc32(content) == int(check, 16) else None
def events(stream, end, decode, held=b""):
    while piece := stream.read(512):
        *frames, held = (held[-8192:] + piece).split(end)
        for frame in frames:
            try:
                if frame and (event := decode(frame)): yield event
            except (ValueError, IndexError, struct.error): pass  # damaged
if __name__ == "__main__":
    form = {"text": (b"\n", from_text), "binary": (b"\0", from_binary)}[sys.argv[1]]
    for event in events(open(sys.argv[2], "rb", buffering=0), *form): print(json.dumps(event), flush=True)
