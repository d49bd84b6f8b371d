import base64
import json
import sys

for name, c in json.load(sys.stdin)["columns"].items():
    raw = base64.b64decode(c["distinct"])
    distinct = len(raw) // 4 if len(raw) < 4 * 4096 else round(4095 / ((int.from_bytes(raw[-4:]) + 0.5) / 2**32))
    known = c["rows"] - c["missing"] - c["foreign"] - c.get("infinite", 0)
    mean = c["centre"] + c["unit"] * (c["total"] / known) if known and "bins" in c else None
    print(json.dumps([name, c["kind"], known, c["missing"], distinct, mean, c.get("lowest"), c.get("highest")]))
