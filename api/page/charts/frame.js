// Axes of a chart in SVG. Text has the size of the page's text: one unit of the drawing is one pixel of a width that is measured.
import { html, useEffect, useRef, useState } from "../core/html.js";

export function useWidth(first = 320) {
  const of = useRef(null);
  const [width, setWidth] = useState(first);
  useEffect(() => {
    const look = new ResizeObserver(([entry]) => setWidth(Math.max(200, Math.floor(entry.contentRect.width))));
    look.observe(of.current);
    return () => look.disconnect();
  }, []);
  return [of, width];
}

export function ticks(low, high, most = 5) {
  if (!(high > low)) return [low];
  const rough = (high - low) / most;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * size).find((s) => s >= rough);
  const found = [];
  for (let x = Math.ceil(low / step - 1e-9) * step; x <= high + step * 1e-9; x += step) found.push(Number(x.toPrecision(12)));
  return found;
}

export function Frame({ width, height = 220, x, y, xLabel, yLabel, label, children }) {
  const [left, right, top, bottom] = [46, 10, 8, 38];
  const px = (v) => left + ((v - x[0]) / (x[1] - x[0] || 1)) * (width - left - right);
  const py = (v) => height - bottom - ((v - y[0]) / (y[1] - y[0] || 1)) * (height - top - bottom);
  return html`<svg class="chart" width=${width} height=${height} role="img" aria-label=${label}>
    ${ticks(...y, 4).map((v) => html`<g key=${`y${v}`}><line class="grid" x1=${left} x2=${width - right} y1=${py(v)} y2=${py(v)} /><text x=${left - 6} y=${py(v) + 4} text-anchor="end">${v}</text></g>`)}
    ${ticks(...x, width / 80).map((v) => html`<g key=${`x${v}`}><line class="axis" x1=${px(v)} x2=${px(v)} y1=${height - bottom} y2=${height - bottom + 4} /><text x=${px(v)} y=${height - bottom + 17} text-anchor="middle">${v}</text></g>`)}
    <line class="axis" x1=${left} x2=${width - right} y1=${height - bottom} y2=${height - bottom} />
    <text x=${(left + width - right) / 2} y=${height - 5} text-anchor="middle">${xLabel}</text>
    <text transform=${`translate(11 ${(top + height - bottom) / 2}) rotate(-90)`} text-anchor="middle">${yLabel}</text>
    ${children(px, py)}
  </svg>`;
}
