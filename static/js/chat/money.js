// Amounts as whole trillionths of a dollar, so that sums are exact.
const DIGITS = 12;

// From a number or a plain decimal text. A call's cost has at most twelve digits after the point.
export function parse(value) {
  const text = typeof value === "number" ? value.toFixed(DIGITS) : String(value ?? "");
  const found = /^(\d+)(?:\.(\d{1,12})\d*)?$/.exec(text.trim());
  return found ? BigInt(found[1]) * 10n ** 12n + BigInt((found[2] ?? "").padEnd(DIGITS, "0")) : 0n;
}

export function text(units) {
  const digits = units.toString().padStart(DIGITS + 1, "0");
  return `${digits.slice(0, -DIGITS)}.${digits.slice(-DIGITS)}`.replace(/0+$/, "").replace(/\.$/, "");
}

// As the pages of the server show it: cents, or every digit of what is less than one.
export function display(units) {
  if (units > 0n && units < 10n ** 10n) return `$${text(units)}`;
  const cents = (units + 5n * 10n ** 9n) / 10n ** 10n;
  const whole = (cents / 100n).toString().replace(/\B(?=(\d{3})+$)/g, ",");
  return `$${whole}.${(cents % 100n).toString().padStart(2, "0")}`;
}

export function exact(units) {
  const [whole, parts = ""] = text(units).split(".");
  return `$${whole.replace(/\B(?=(\d{3})+$)/g, ",")}.${parts.padEnd(2, "0")}`;
}
