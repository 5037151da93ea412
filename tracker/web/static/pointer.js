// What the mouse and the keys do on the canvas.

const STILL = 4;  // CSS pixels that a click may stray

export function listen(stage) {
  const {canvas} = stage, screen = stage.get("screen"), menu = stage.get("menu");
  let hold = null;  // what the pressed pointer does

  canvas.addEventListener("pointerdown", event => {
    menu.hidden = true;
    screen.focus({preventScroll: true});
    if (stage.shown === null || event.button > 2) return;
    const {x, y, panel} = stage.placeOf(event);
    const isPainting = stage.get("mask").checked;
    if (event.button === 2 && !isPainting) return;
    canvas.setPointerCapture(event.pointerId);
    hold = {button: event.button, start: [event.clientX, event.clientY], from: [x, y], last: panel, hasMoved: false};
    if (event.button === 1) return event.preventDefault();  // the middle button moves the video
    if (isPainting) {
      hold.isPainting = true;
      paint(event);
      return;
    }
    const found = stage.pointAt(panel);
    if (found) {
      hold.found = found;
      stage.choose(found.point);
    }
  });

  canvas.addEventListener("pointermove", event => {
    if (!hold) return;
    if (hold.isPainting) return paint(event);
    const {x, y, panel} = stage.placeOf(event);
    hold.hasMoved ||= Math.hypot(event.clientX - hold.start[0], event.clientY - hold.start[1]) > STILL;
    if (!hold.hasMoved) return;
    if (hold.found) {
      // The point keeps its distance from the pointer that it had when it was taken.
      const {point, place} = hold.found;
      stage.dragged = {number: point.number, x: place.x + x - hold.from[0], y: place.y + y - hold.from[1]};
    } else {
      stage.lens.move(panel[0] - hold.last[0], panel[1] - hold.last[1]);
      hold.last = panel;
    }
    stage.draw();
  });

  canvas.addEventListener("pointerup", async event => {
    const held = hold;
    hold = null;
    if (!held || held.isPainting || held.button !== 0) return;
    if (held.found) {
      const {dragged} = stage;
      if (dragged) await stage.act({do: "place", t: stage.shown, ...dragged});
      stage.dragged = null;
      return stage.draw();
    }
    const [x, y] = held.from;
    if (held.hasMoved || !stage.lens.contains(x, y)) return;
    await stage.act({do: "add", t: stage.shown, x, y});
    stage.choose(stage.scene.points.at(-1));
  });

  canvas.addEventListener("pointercancel", () => { hold = stage.dragged = null; stage.draw(); });

  function paint(event) {
    const {x, y} = stage.placeOf(event);
    const diameter = Math.max(Number(stage.get("brush").value) / stage.lens.scale, 1);
    stage.mask.stroke(hold.from, [x, y], diameter, hold.button === 2);
    hold.from = [x, y];
    stage.draw();
  }

  canvas.addEventListener("contextmenu", event => {
    event.preventDefault();
    if (stage.shown === null || stage.get("mask").checked) return;
    const found = stage.pointAt(stage.placeOf(event).panel);
    menu.hidden = !found;
    if (!found) return;
    stage.choose(found.point);
    const box = screen.getBoundingClientRect();
    menu.style.left = `${Math.min(event.clientX - box.left, box.width - 190)}px`;
    menu.style.top = `${event.clientY - box.top}px`;
    menu.querySelector("[data-do=unmark]").hidden = !found.point.marks.some(mark => mark[0] === stage.shown);
  });

  menu.addEventListener("click", event => {
    const act = event.target.dataset.do;
    menu.hidden = true;
    if (act) stage.act({do: act, number: stage.chosen, t: stage.shown});
  });

  canvas.addEventListener("wheel", event => {
    if (!stage.scene.video) return;
    event.preventDefault();
    stage.lens.zoom(Math.exp(-event.deltaY / 400), ...stage.placeOf(event).panel);
    stage.draw();
  }, {passive: false});

  screen.addEventListener("keydown", event => {
    const keys = {
      " ": () => (stage.isPlaying ? stage.pause() : stage.play()),
      ArrowLeft: () => stage.go(stage.wanted - 1),
      ArrowRight: () => stage.go(stage.wanted + 1),
      Escape: () => { menu.hidden = true; },
      Delete: () => stage.chosen !== null && stage.act({do: "delete", number: stage.chosen}),
      h: () => stage.chosen !== null && stage.act({do: "hide", number: stage.chosen, t: stage.shown}),
    };
    const isUndo = (event.ctrlKey || event.metaKey) && event.key === "z";
    const handle = isUndo ? () => stage.act({do: "undo"}) : keys[event.key];
    if (!handle || ((event.ctrlKey || event.metaKey) && !isUndo)) return;
    event.preventDefault();
    handle();
  });

  // A video may be dropped anywhere on the stage.
  const stageElement = document.getElementById("stage");
  stageElement.addEventListener("dragover", event => { event.preventDefault(); screen.classList.add("is-target"); });
  stageElement.addEventListener("dragleave", () => screen.classList.remove("is-target"));
  stageElement.addEventListener("drop", event => {
    event.preventDefault();
    screen.classList.remove("is-target");
    const [file] = event.dataTransfer.files;
    if (file) stage.upload(file);
  });
}
