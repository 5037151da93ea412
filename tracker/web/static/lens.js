// How a video lies on the canvas: a scale and the place of its corner, in CSS pixels.
//
// Places in the video are raster coordinates: (0, 0) is the corner of its first pixel, whose centre
// is at (0.5, 0.5).

const LARGEST = 64;  // CSS pixels that a pixel of a large video may take

// Return how many CSS pixels a pixel of the screen is.
export function pixelOfScreen() {
  return 1 / (window.devicePixelRatio || 1);
}

export class Lens {
  constructor() {
    this.size = [1, 1];   // of the video
    this.panel = [1, 1];  // of the part of the canvas that shows it, in CSS pixels
    this.fit();
  }

  // Show the whole video in a panel of this size.
  fit(size = this.size, panel = this.panel) {
    this.size = size;
    this.panel = panel;
    this.scale = Math.min(panel[0] / size[0], panel[1] / size[1]);
    this.corner = [0, 1].map(i => (panel[i] - this.scale * size[i]) / 2);
    this.isFit = true;
  }

  // Take a panel of another size; what is in its middle stays there.
  resize(panel) {
    if (this.isFit) return this.fit(this.size, panel);
    this.corner = [0, 1].map(i => this.corner[i] + (panel[i] - this.panel[i]) / 2);
    this.panel = panel;
  }

  toScreen(x, y) {
    return [this.corner[0] + this.scale * x, this.corner[1] + this.scale * y];
  }

  toVideo(x, y) {
    return [(x - this.corner[0]) / this.scale, (y - this.corner[1]) / this.scale];
  }

  // Zoom by a factor; what lies at (x, y) of the panel stays there.
  zoom(factor, x, y) {
    const place = this.toVideo(x, y);
    const whole = Math.min(this.panel[0] / this.size[0], this.panel[1] / this.size[1]);
    const smallest = Math.min(whole / 2, pixelOfScreen());
    this.scale = Math.min(Math.max(this.scale * factor, smallest), Math.max(LARGEST, 8 * whole));
    this.corner = [x - this.scale * place[0], y - this.scale * place[1]];
    this.isFit = false;
  }

  move(dx, dy) {
    this.corner = [this.corner[0] + dx, this.corner[1] + dy];
    this.isFit = false;
  }

  contains(x, y) {
    return x >= 0 && y >= 0 && x <= this.size[0] && y <= this.size[1];
  }
}
