const { columns } = JSON.parse(require("fs").readFileSync(0, "utf8"));
for (const [name, c] of Object.entries(columns)) {
  const raw = Buffer.from(c.distinct, "base64");
  const last = raw.length ? raw.readUInt32BE(raw.length - 4) : 0;
  const distinct = raw.length < 4 * 4096 ? raw.length / 4 : Math.round(4095 / ((last + 0.5) / 2 ** 32));
  const known = c.rows - c.missing - c.foreign - (c.infinite || 0);
  const mean = known && c.bins ? c.centre + c.unit * (c.total / known) : null;
  console.log(JSON.stringify([name, c.kind, known, c.missing, distinct, mean, c.lowest ?? null, c.highest ?? null]));
}
