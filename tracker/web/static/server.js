// What the page asks of the server; the answers of `send` come in the order of asking.

const AHEAD = 10;   // frames that are fetched before they are looked at
const KEPT = 80;    // frames that are kept

export class Server {
  constructor(token) {
    this.base = new URL(`visits/${token}/`, document.baseURI).href;
    this.last = Promise.resolve();
  }

  // Run one request after the other.
  inOrder(work) {
    const next = this.last.then(work, work);
    this.last = next.catch(() => {});
    return next;
  }

  scene() {
    return this.inOrder(() => this.json("scene"));
  }

  act(request) {
    return this.inOrder(() => this.json("act", {method: "POST", body: JSON.stringify(request)}));
  }

  upload(file, onShare) {
    return this.inOrder(() => new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();  // fetch tells nothing of how far it is
      request.open("POST", `${this.base}video?name=${encodeURIComponent(file.name)}`);
      request.upload.onprogress = event => onShare(event.loaded / event.total);
      request.onerror = () => reject(new Error("the upload was broken off; try again"));
      request.onload = () => {
        let answer;
        try { answer = JSON.parse(request.responseText); } catch { answer = {error: "the upload failed"}; }
        answer.error ? reject(new Error(answer.error)) : resolve(answer);
      };
      request.send(file);
    }));
  }

  async tracks(video, version) {
    const answer = await fetch(`${this.base}videos/${video.number}/tracks/${version}`);
    return answer.ok ? new Float32Array(await answer.arrayBuffer()) : null;
  }

  async json(path, options) {
    let answer;
    try {
      answer = await (await fetch(this.base + path, options)).json();
    } catch {
      throw new Error("the server does not answer; is it still running?");
    }
    if (answer.error) throw new Error(answer.error);
    return answer;
  }
}

// The frames of one video.
export class Frames {
  constructor(server, video) {
    this.address = t => `${server.base}videos/${video.number}/frames/${t}.jpg`;
    this.count = video.frames;
    this.kept = new Map();
  }

  // Return the picture of a frame, and fetch those that come next.
  get(t) {
    const picture = this.fetch(t);
    for (let next = t + 1; next <= Math.min(t + AHEAD, this.count - 1); next++) this.fetch(next);
    return picture;
  }

  fetch(t) {
    let entry = this.kept.get(t);
    if (entry) {
      this.kept.delete(t);
    } else {
      const image = new Image();
      image.src = this.address(t);
      entry = {image, isReady: false, failed: null};
      entry.ready = image.decode().then(() => { entry.isReady = true; }, async () => {
        this.kept.delete(t);
        const answer = await fetch(this.address(t)).catch(() => null);
        const told = answer && !answer.ok ? await answer.json().catch(() => null) : null;
        throw new Error(told?.error ?? `frame ${t} cannot be shown`);
      });
      entry.ready.catch(() => {});
    }
    this.kept.set(t, entry);  // at the end: used last
    if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value);
    return entry;
  }
}
