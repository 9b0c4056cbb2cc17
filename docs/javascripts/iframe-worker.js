// Makes the site's search work from a folder: browsers start no worker for a file:// page, so its
// script runs in a hidden frame, with the two ends of a worker's messages.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const worker = frame.contentWindow;
      const deliver = (target, data) => target.dispatchEvent(new MessageEvent("message", { data }));
      worker.postMessage = (data) => deliver(this, data);
      const loaded = new Promise((resolve) => {
        const script = frame.contentDocument.createElement("script");
        script.src = new URL(url, location.href).href;
        script.onload = resolve;
        frame.contentDocument.body.append(script);
      });
      this.postMessage = (data) => loaded.then(() => deliver(worker, data));
    }
    terminate() {}
  };
}
