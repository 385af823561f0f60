// Colors of readings, as frugaltwin/color.py computes them: XYZ by the sensor's matrix, Lab against its white, then sRGB (IEC 61966-2-1:1999).
const TO_RGB = [[3.2409699419, -1.5373831776, -0.4986107603], [-0.9692436363, 1.8759675015, 0.0415550574], [0.0556300797, -0.2039769589, 1.0569715142]];
const D65 = [0.9504559271, 1, 1.0890577508];
const f = (t) => (t > 216 / 24389 ? Math.cbrt(t) : (t * 24389 / 27 + 16) / 116);
const back = (t) => (t > 6 / 29 ? t ** 3 : (116 * t - 16) * 27 / 24389);

export function labOf(color, outcomes) {
  if (!color || color.exposure || !outcomes) return null;
  const t = color.channels.map((name) => outcomes[name]);
  if (t.some((x) => typeof x !== "number")) return null;
  const [x, y, z] = color.to_xyz.map((row, k) => f(row.reduce((sum, c, i) => sum + c * t[i], 0) / color.white[k]));
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

export function hexOf(lab) {
  if (!lab) return null;
  const y = (lab[0] + 16) / 116;
  const xyz = [back(y + lab[1] / 500) * D65[0], back(y) * D65[1], back(y - lab[2] / 200) * D65[2]];
  return "#" + TO_RGB.map((row) => {
    const c = Math.min(1, Math.max(0, row.reduce((sum, m, i) => sum + m * xyz[i], 0)));
    return Math.round(255 * (c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055)).toString(16).padStart(2, "0");
  }).join("");
}

export function targetOf(goal) {
  const found = /^match-color:lab\(([-\d.e]+), ?([-\d.e]+), ?([-\d.e]+)\)/.exec(goal || "");
  return found ? found.slice(1, 4).map(Number) : null;
}
