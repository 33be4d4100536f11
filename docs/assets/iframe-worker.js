// Browsers refuse workers to a page that is opened from a disk. There the search runs in a hidden frame instead.
// Material would fetch such a script from the network.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      const frame = document.createElement("iframe")
      frame.hidden = true
      document.body.appendChild(frame)
      this.inner = frame.contentWindow
      this.waiting = []
      this.inner.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }))
      const script = this.inner.document.createElement("script")
      script.src = new URL(url, location)
      script.onload = () => {
        this.waiting.forEach((data) => this.deliver(data))
        this.waiting = null
      }
      this.inner.document.body.appendChild(script)
    }

    postMessage(data) {
      this.waiting ? this.waiting.push(data) : this.deliver(data)
    }

    deliver(data) {
      this.inner.dispatchEvent(new MessageEvent("message", { data }))
    }
  }
}
