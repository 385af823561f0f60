// Numbers and times as people read them, with units.
export function number(x, digits = 3) {
  if (x === null || x === undefined) return "–";
  if (typeof x !== "number") return String(x);
  if (x === 0) return "0";
  const size = Math.abs(x);
  if (size >= 1e6 || size < 1e-4) return x.toExponential(digits - 1);
  return String(Number(x.toPrecision(Math.max(digits, Math.ceil(Math.log10(size))))));
}

export const withUnit = (x, unit) => (unit && unit !== "1" ? `${number(x)} ${unit}` : number(x));

export function seconds(s) {
  if (s === null || s === undefined) return "–";
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  return `${number(s / 3600, 2)} h`;
}

export const money = (usd) => `${usd < 0.01 && usd > 0 ? usd.toFixed(4) : usd.toFixed(2)} USD`;

export const clock = (s) => new Date(s * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
export const day = (s) => new Date(s * 1000).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
