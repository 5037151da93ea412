// A mask that is painted over the video, in its pixels.

export class Mask {
  constructor(width, height) {
    this.canvas = document.createElement("canvas");
    [this.canvas.width, this.canvas.height] = [width, height];
    this.isEmpty = true;
  }

  // Paint, or wipe, from one place of the video to another.
  stroke(from, to, diameter, isWiping) {
    const context = this.canvas.getContext("2d");
    context.globalCompositeOperation = isWiping ? "destination-out" : "source-over";
    context.strokeStyle = context.fillStyle = "#00b7ff";
    context.lineWidth = diameter;
    context.lineCap = "round";
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(...to);
    context.stroke();
    context.beginPath();
    context.arc(...to, diameter / 2, 0, 2 * Math.PI);
    context.fill();
    if (!isWiping) this.isEmpty = false;
  }

  draw(context, lens) {
    const [x, y] = lens.toScreen(0, 0);
    context.globalAlpha = 0.45;
    context.drawImage(this.canvas, x, y, lens.scale * lens.size[0], lens.scale * lens.size[1]);
    context.globalAlpha = 1;
  }

  toUrl() {
    return this.canvas.toDataURL("image/png");
  }
}
