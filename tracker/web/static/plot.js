// The chosen point's x, y and certainty against time.

const LEFT = 44, GAP = 6;
const ROWS = [
  {label: "x", colour: "#e2574c", of: place => place.x},
  {label: "y", colour: "#3f7fe0", of: place => place.y},
  {label: "certain", colour: "#2fa84f", of: place => place.certainty, range: [0, 1]},
];

// Draw into a canvas; `places` holds a place or null for each frame.
export function drawPlot(canvas, places, t, certainty, name) {
  const {context, width, height} = sized(canvas);
  const ink = getComputedStyle(canvas).color;
  context.clearRect(0, 0, width, height);
  context.font = "11px system-ui, sans-serif";
  context.fillStyle = ink;
  if (!places) {
    context.fillText("Choose a point to see x, y and certainty against time.", 8, 16);
    return;
  }
  const each = (height - 16) / ROWS.length;
  context.fillText(name, LEFT, 11);
  ROWS.forEach((row, number) => {
    const top = 16 + number * each, bottom = top + each - GAP;
    const values = places.map(place => (place ? row.of(place) : null));
    const known = values.filter(value => value !== null && Number.isFinite(value));
    const [low, high] = row.range ?? spread(known);
    const toY = value => bottom - (bottom - top) * (value - low) / (high - low);
    context.globalAlpha = 0.25;
    context.strokeStyle = ink;
    context.strokeRect(LEFT, top, width - LEFT - 4, bottom - top);
    context.globalAlpha = 1;
    context.fillText(row.label, 2, (top + bottom) / 2 + 4);
    if (known.length) {
      context.globalAlpha = 0.6;
      context.fillText(high.toFixed(row.range ? 0 : 1), LEFT + 3, top + 10);
      context.fillText(low.toFixed(row.range ? 0 : 1), LEFT + 3, bottom - 2);
      context.globalAlpha = 1;
    }
    context.strokeStyle = row.colour;
    context.lineWidth = 1.5;
    line(context, values.map((value, time) => (value === null ? null : [toX(time, places, width), toY(value)])));
    if (row.range) line(context, [[LEFT, toY(certainty)], [width - 4, toY(certainty)]], [4, 4]);
  });
  context.strokeStyle = ink;
  line(context, [[toX(t, places, width), 16], [toX(t, places, width), height - GAP]], [2, 3]);
}

// Return the frame under a place of the canvas.
export function frameAt(canvas, x, frames) {
  const share = (x - LEFT) / (canvas.clientWidth - LEFT - 4);
  return Math.min(Math.max(Math.round(share * (frames - 1)), 0), frames - 1);
}

// Let a canvas have as many pixels as the screen shows of it, and be drawn on in CSS pixels.
export function sized(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const {width, height} = canvas.getBoundingClientRect();  // not clientWidth, which is rounded
  const pixels = [width, height].map(side => Math.max(Math.round(side * ratio), 1));
  if (canvas.width !== pixels[0] || canvas.height !== pixels[1]) [canvas.width, canvas.height] = pixels;
  const context = canvas.getContext("2d");
  context.setTransform(canvas.width / width, 0, 0, canvas.height / height, 0, 0);
  return {context, width, height};
}

function toX(t, places, width) {
  return LEFT + (width - LEFT - 4) * t / Math.max(places.length - 1, 1);
}

function spread(values) {
  if (!values.length) return [0, 1];
  const low = Math.min(...values), high = Math.max(...values);
  const margin = Math.max((high - low) * 0.05, 0.5);
  return [low - margin, high + margin];
}

function line(context, places, dash = []) {
  context.setLineDash(dash);
  context.beginPath();
  let isDown = false;
  for (const place of places) {
    if (place) isDown ? context.lineTo(...place) : context.moveTo(...place);
    isDown = !!place;
  }
  context.stroke();
  context.setLineDash([]);
}
