// The video with its points: shows frames, and tells the server what the visitor does on them.
//
// What the points are is kept by the server. Each act is sent there, and what comes back is drawn.
// Gradio's buttons around call `window.stage`.

import {Lens, pixelOfScreen} from "./lens.js";
import {drawList} from "./list.js";
import {drawMarks, placeOf} from "./marks.js";
import {Mask} from "./mask.js";
import {drawPlot, frameAt, sized} from "./plot.js";
import {listen} from "./pointer.js";
import {Frames, Server} from "./server.js";

const TALLEST = 0.72;   // of the window, that the video may take
const SHORTEST = 160;   // CSS pixels
const SHARP_FROM = 3;   // CSS pixels of the screen for one of the video, from which squares are seen
const NO_SCENE = {video: null, points: [], rows: [], tracks: ""};

class Stage {
  constructor() {
    this.scene = NO_SCENE;
    this.settings = {certainty: 0.25, trail: 12, byConfidence: false, sideBySide: false, names: false};
    this.lens = new Lens();
    this.tracks = null;   // as marks.js has them, and their version
    this.wanted = 0;      // frame that the visitor asked for
    this.shown = null;    // frame that is on the canvas
    this.chosen = null;   // number of a point
    this.dragged = null;  // {number, x, y} while a point is under the hand
    this.isPlaying = false;
  }

  get(name) { return document.getElementById(`stage-${name}`); }

  // Called by Gradio when the page is there.
  async begin(token) {
    if (!token) return;
    this.server = new Server(token);
    this.canvas = this.get("canvas");
    this.listen();
    await this.reload();
  }

  // Called by Gradio when its controls change.
  view(certainty, trail, byConfidence, sideBySide, names) {
    this.settings = {certainty, trail, byConfidence, sideBySide, names};
    this.layOut();
  }

  // Called by Gradio when something happened on the server.
  async reload() {
    await this.told(() => this.server.scene());
  }

  // Called by Gradio when a file is ready.
  download(address) {
    const link = document.createElement("a");
    link.href = new URL(address, document.baseURI).href;
    link.download = "";
    document.body.append(link);
    link.click();
    link.remove();
  }

  // Draw the scene that `ask` brings, or say what went wrong.
  async told(ask, message = "") {
    try {
      await this.take(await ask());
      this.say(message);
    } catch (error) {
      this.say(error.message, true);
    }
  }

  act(request) {
    return this.told(() => this.server.act(request));
  }

  say(text, isError = false) {
    this.get("message").textContent = text;
    this.get("message").classList.toggle("is-error", isError);
  }

  async take(scene) {
    const isOther = scene.video?.number !== this.scene.video?.number;
    this.scene = {...NO_SCENE, ...scene};
    if (isOther) this.takeVideo();
    // Until the new tracks are there, the old ones are drawn.
    if (this.scene.rows.length && scene.tracks !== this.tracks?.version) {
      const data = await this.server.tracks(scene.video, scene.tracks);
      const rows = new Map(scene.rows.map((number, row) => [number, row]));
      // If not, a newer scene is on its way.
      if (data && scene.tracks === this.scene.tracks) this.tracks = {rows, data, version: scene.tracks};
    }
    if (!this.scene.points.some(point => point.number === this.chosen)) this.chosen = null;
    this.get("undo").disabled = !this.scene.canUndo;
    this.draw();
  }

  takeVideo() {
    const {video} = this.scene;
    this.pause();
    this.shown = this.picture = this.chosen = this.mask = this.tracks = null;
    this.get("name").textContent = video
      ? `${video.name}: ${video.width} x ${video.height}, ${video.frames} frames`
      : "or drop one here";
    if (!video) return;
    this.frames = new Frames(this.server, video);
    this.mask = new Mask(video.width, video.height);
    this.get("scrub").max = video.frames - 1;
    this.lens.size = [video.width, video.height];
    this.lens.isFit = true;
    this.layOut();
    this.go(0);
  }

  // Show a frame as soon as it is there; the last one asked for wins.
  async go(t) {
    const {video} = this.scene;
    if (!video) return;
    this.wanted = Math.min(Math.max(Math.round(t), 0), video.frames - 1);
    const wanted = this.wanted, frames = this.frames;
    this.get("scrub").value = wanted;
    this.get("frame").textContent = `${wanted} / ${video.frames - 1}`;
    const entry = frames.get(wanted);
    try {
      await entry.ready;
    } catch (error) {
      if (frames === this.frames) this.say(error.message, true);
      return;
    }
    if (wanted !== this.wanted || frames !== this.frames) return;
    this.shown = wanted;
    this.picture = entry.image;
    this.draw();
  }

  play() {
    if (!this.scene.video) return;
    this.isPlaying = true;
    this.get("play").textContent = "Pause";
    if (this.wanted >= this.scene.video.frames - 1) this.go(0);
    let last = performance.now();
    const step = now => {
      if (!this.isPlaying) return;
      const isDue = now - last >= 1000 / this.scene.video.fps;
      if (isDue && this.shown === this.wanted) {
        if (this.shown >= this.scene.video.frames - 1) return this.pause();
        last = now;
        this.go(this.shown + 1);
      }
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  pause() {
    this.isPlaying = false;
    this.get("play").textContent = "Play";
  }

  // Give the canvas the video's aspect, as far as the window allows.
  layOut() {
    if (!this.canvas || !this.scene.video) return;
    const {width, height} = this.scene.video;
    const panels = this.settings.sideBySide ? 2 : 1;
    const wide = this.canvas.getBoundingClientRect().width / panels;
    const tall = Math.min(Math.max(wide * height / width, SHORTEST), TALLEST * window.innerHeight);
    this.canvas.style.height = `${tall}px`;
    this.lens.resize([wide, tall]);
    this.draw();
  }

  // Return a pointer's place in the video; {x, y, panel: [x, y]}.
  placeOf(event) {
    const box = this.canvas.getBoundingClientRect();
    // A pointer names the corner of the screen's pixel that it is on; its centre is meant.
    const half = 0.5 * pixelOfScreen();
    const panel = [
      (event.clientX + half - box.left) % this.lens.panel[0],
      event.clientY + half - box.top,
    ];
    const [x, y] = this.lens.toVideo(...panel);
    return {x, y, panel};
  }

  // Return the point under a place of the canvas; of several the nearest.
  pointAt(panel, reach = 11) {
    let found = null;
    for (const point of this.scene.points) {
      const place = placeOf(this.scene, this.tracks, point, this.shown);
      if (!place) continue;
      const [x, y] = this.lens.toScreen(place.x, place.y);
      const distance = Math.hypot(x - panel[0], y - panel[1]);
      if (distance <= reach) [reach, found] = [distance, {point, place}];
    }
    return found;
  }

  choose(point) {
    this.chosen = point?.number ?? null;
    if (point && !placeOf(this.scene, this.tracks, point, this.shown)) this.go(point.marks[0][0]);
    this.draw();
  }

  addFromSource() {
    const isMasked = this.get("mask").checked;
    if (isMasked && this.mask?.isEmpty) return this.say("Nothing is painted: paint over the object first.", true);
    this.act({
      do: this.get("source").value, n: Number(this.get("n").value), t: this.shown,
      mask: isMasked ? this.mask.toUrl() : null,
    });
  }

  async upload(file) {
    const limit = this.scene.largestUpload;
    if (limit && file.size > limit) {
      const most = (limit / 2 ** 20).toFixed(limit < 2 ** 20 ? 2 : 0);
      return this.say(`${file.name} is larger than the ${most} MB that may be uploaded; cut it or make it smaller`, true);
    }
    await this.told(() => this.server.upload(file, share => this.say(`uploading ${file.name}: ${Math.round(100 * share)} %`)));
  }

  draw() {
    if (!this.canvas) return;
    const {context, width, height} = sized(this.canvas);
    context.clearRect(0, 0, width, height);
    if (this.scene.video && this.picture) {
      this.drawPanel(context, 0, height, !this.settings.sideBySide);
      if (this.settings.sideBySide) this.drawPanel(context, this.lens.panel[0], height, true);
    }
    drawList(this.get("points"), this.scene, this.chosen, this);
    this.drawPlot();
  }

  drawPanel(context, left, height, hasMarks) {
    const {lens} = this;
    context.save();
    context.beginPath();
    context.rect(left, 0, lens.panel[0], height);
    context.clip();
    context.translate(left, 0);
    context.imageSmoothingEnabled = lens.scale < SHARP_FROM;
    const [x, y] = lens.toScreen(0, 0);
    context.drawImage(this.picture, x, y, lens.scale * lens.size[0], lens.scale * lens.size[1]);
    if (this.get("mask").checked) this.mask.draw(context, lens);
    if (hasMarks) {
      drawMarks(context, lens, this.scene, this.tracks, this.shown, this.settings, this.chosen, this.dragged);
    }
    context.restore();
  }

  drawPlot() {
    const point = this.scene.points.find(point => point.number === this.chosen);
    let places = null;
    if (point) {
      const times = Array.from({length: this.scene.video.frames}, (_, t) => t);
      places = times.map(t => placeOf(this.scene, this.tracks, point, t));
    }
    drawPlot(this.get("plot"), places, this.shown, this.settings.certainty, point?.name);
  }

  listen() {
    const on = (name, event, handle) => this.get(name).addEventListener(event, handle);
    on("file", "change", event => {
      const [file] = event.target.files;
      event.target.value = "";
      if (file) this.upload(file);
    });
    on("scrub", "input", event => { this.pause(); this.go(Number(event.target.value)); });
    on("play", "click", () => (this.isPlaying ? this.pause() : this.play()));
    on("back", "click", () => { this.pause(); this.go(this.wanted - 1); });
    on("next", "click", () => { this.pause(); this.go(this.wanted + 1); });
    on("fit", "click", () => { this.lens.fit(); this.draw(); });
    on("full", "click", () => {
      const middle = this.lens.panel.map(side => side / 2);
      this.lens.zoom(pixelOfScreen() / this.lens.scale, ...middle);
      this.draw();
    });
    on("undo", "click", () => this.act({do: "undo"}));
    on("clear", "click", () => this.act({do: "clear"}));
    on("add", "click", () => this.addFromSource());
    on("mask", "change", event => { this.get("brush").hidden = !event.target.checked; this.draw(); });
    on("plot", "click", event => {
      const {video} = this.scene;
      const left = this.get("plot").getBoundingClientRect().left;
      if (video) this.go(frameAt(this.get("plot"), event.clientX - left, video.frames));
    });
    new ResizeObserver(() => this.layOut()).observe(this.get("screen"));
    listen(this);
  }
}

window.stage = new Stage();
