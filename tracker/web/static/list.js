// The list of points: names, colours, and whether they are followed.

export function drawList(element, scene, chosen, on) {
  if (element.contains(document.activeElement)) return;  // somebody is typing a name
  element.replaceChildren(...scene.points.map(point => row(point, point.number === chosen, on)));
  if (!scene.points.length) element.textContent = "Click on the video to add a point.";
}

function row(point, isChosen, on) {
  const line = document.createElement("div");
  line.className = isChosen ? "is-chosen" : "";
  line.dataset.number = point.number;
  line.addEventListener("click", event => {
    if (event.target === line || event.target.tagName === "SPAN") on.choose(point);
  });
  const colour = input("color", point.colour, value => on.act({do: "recolour", number: point.number, colour: value}));
  const name = input("text", point.name, value => on.act({do: "rename", number: point.number, name: value}));
  name.maxLength = 60;
  const note = document.createElement("span");
  note.className = "stage-note";
  const frames = point.marks.map(([t, x]) => (x === null ? `${t} hidden` : t)).join(", ");
  note.textContent = `${point.isTracked ? "tracked" : "new"} · ${frames}`;
  note.title = "Frames in which its place was given";
  const remove = document.createElement("button");
  remove.type = "button";
  remove.textContent = "✕";
  remove.title = "Delete the point";
  remove.addEventListener("click", () => on.act({do: "delete", number: point.number}));
  line.append(colour, name, note, remove);
  return line;
}

function input(type, value, onChange) {
  const field = document.createElement("input");
  Object.assign(field, {type, value});
  field.addEventListener("change", () => {
    field.blur();
    onChange(field.value);
  });
  field.addEventListener("keydown", event => {
    event.stopPropagation();
    if (event.key === "Enter") field.blur();
  });
  return field;
}
