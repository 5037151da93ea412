// Where points are in a frame, and how they are drawn.

const DOUBTFUL = [255, 70, 60], CERTAIN = [60, 205, 70];  // as in drawing.py
export const RADIUS = 6;  // of a dot, in CSS pixels

// Return where a point is at time t: {x, y, certainty, isMark}, or null where nothing is known.
// `tracks` is {rows: Map of numbers to rows, data: Float32Array (rows, T, 3)}, or null.
export function placeOf(scene, tracks, point, t) {
  const mark = point.marks.find(mark => mark[0] === t);
  const row = tracks?.rows.get(point.number);
  const at = row === undefined ? null : 3 * (row * scene.video.frames + t);
  const [x, y, certainty] = at === null ? [NaN, NaN, 1] : tracks.data.subarray(at, at + 3);
  if (mark && mark[1] !== null) {
    return {x: mark[1], y: mark[2], certainty: point.isTracked ? certainty : 1, isMark: true};
  }
  if (!Number.isFinite(x)) return null;
  return {x, y, certainty: mark ? 0 : certainty, isMark: !!mark};
}

export function isShown(scene, place, view) {
  const {width, height} = scene.video;
  const isInside = place.x >= 0 && place.y >= 0 && place.x <= width && place.y <= height;
  return isInside && place.certainty > view.certainty;
}

export function colourOf(point, place, view) {
  if (!view.byConfidence) return point.colour;
  const share = Math.min(Math.max(place.certainty, 0), 1);
  return `rgb(${DOUBTFUL.map((low, i) => Math.round(low + share * (CERTAIN[i] - low))).join(" ")})`;
}

// Draw all points of frame t. `context` is in CSS pixels.
export function drawMarks(context, lens, scene, tracks, t, view, chosen, dragged) {
  for (const point of scene.points) {
    let place = placeOf(scene, tracks, point, t);
    if (dragged?.number === point.number) place = {x: dragged.x, y: dragged.y, certainty: 1, isMark: true};
    if (!place) continue;
    if (tracks) drawTrail(context, lens, scene, tracks, point, t, view);
    const [x, y] = lens.toScreen(place.x, place.y);
    const colour = colourOf(point, place, view);
    const isVisible = isShown(scene, place, view) || dragged?.number === point.number;
    drawDot(context, x, y, colour, isVisible);
    if (place.isMark) drawFrame(context, x, y);
    if (point.number === chosen) drawRing(context, x, y);
    if (view.names || point.number === chosen) drawName(context, x, y, point.name);
  }
}

function drawDot(context, x, y, colour, isVisible) {
  context.beginPath();
  context.arc(x, y, RADIUS, 0, 2 * Math.PI);
  context.lineWidth = isVisible ? 1.5 : 4;
  context.strokeStyle = "#101010";
  if (isVisible) {
    context.fillStyle = colour;
    context.fill();
    context.stroke();
  } else {
    context.stroke();
    context.lineWidth = 2;
    context.strokeStyle = colour;
    context.stroke();
  }
}

// A square: the visitor said so.
function drawFrame(context, x, y) {
  const side = RADIUS + 3;
  context.lineWidth = 1.5;
  context.strokeStyle = "#ffffff";
  context.strokeRect(x - side, y - side, 2 * side, 2 * side);
}

function drawRing(context, x, y) {
  context.beginPath();
  context.arc(x, y, RADIUS + 6, 0, 2 * Math.PI);
  context.lineWidth = 1.5;
  context.strokeStyle = "#ffffff";
  context.stroke();
}

function drawName(context, x, y, name) {
  context.font = "13px system-ui, sans-serif";
  context.lineWidth = 3;
  context.strokeStyle = "#101010";
  context.strokeText(name, x + RADIUS + 8, y + 4);
  context.fillStyle = "#ffffff";
  context.fillText(name, x + RADIUS + 8, y + 4);
}

function drawTrail(context, lens, scene, tracks, point, t, view) {
  let before = null;
  context.lineWidth = 2;
  for (let time = Math.max(0, t - view.trail); time <= t; time++) {
    const place = placeOf(scene, tracks, point, time);
    const here = place && isShown(scene, place, view) ? lens.toScreen(place.x, place.y) : null;
    if (before && here) {
      context.globalAlpha = 1 - (t - time) / (view.trail + 1);
      context.strokeStyle = colourOf(point, place, view);
      context.beginPath();
      context.moveTo(...before);
      context.lineTo(...here);
      context.stroke();
    }
    before = here;
  }
  context.globalAlpha = 1;
}
