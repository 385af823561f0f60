// Elements as text: html`<p>${x}</p>`. Whatever stands in ${} is text or a property, never markup.
import { h, render } from "../vendor/preact.js";
import htm from "../vendor/htm.js";
export const html = htm.bind(h);
export { render };
export { useEffect, useRef, useState, useMemo } from "../vendor/hooks.js";
export { signal, computed, effect, batch } from "../vendor/signals.js";
