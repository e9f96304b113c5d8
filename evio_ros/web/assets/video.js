// The picture as video: WebRTC, or where that fails, MJPEG.
"use strict";

(() => {
  const GATHER_MS = 1500, FIRST_FRAME_MS = 5000;

  class Video {
    constructor() {
      this.peer = null;
      this.video = evio.byId("video");
      this.image = evio.byId("mjpeg");
    }

    /** Resolves to what is shown: "WebRTC" or "MJPEG". */
    async start() {
      this.isWanted = true;
      try {
        await this.connect();
        return "WebRTC";
      } catch {
        this.stopPeer();
        if (!this.isWanted) return "";
        this.image.src = evio.address("api/video/mjpeg");
        this.image.hidden = false;
        return "MJPEG";
      }
    }

    async connect() {
      if (!window.RTCPeerConnection) throw new Error("no WebRTC");
      const peer = (this.peer = new RTCPeerConnection({ iceServers: [] }));
      peer.addTransceiver("video", { direction: "recvonly" });
      peer.addEventListener("track", (event) => {
        this.video.srcObject = event.streams[0] ?? new MediaStream([event.track]);
      });
      await peer.setLocalDescription(await peer.createOffer());
      await new Promise((resolve) => {
        if (peer.iceGatheringState === "complete") resolve();
        peer.addEventListener("icegatheringstatechange", () => {
          if (peer.iceGatheringState === "complete") resolve();
        });
        setTimeout(resolve, GATHER_MS);
      });
      const { sdp, type } = peer.localDescription;
      await peer.setRemoteDescription(await evio.ask("api/video/offer", { sdp, type }));
      this.video.hidden = false;
      await new Promise((resolve, reject) => {
        this.video.addEventListener("playing", resolve, { once: true });
        setTimeout(() => reject(new Error("no picture came")), FIRST_FRAME_MS);
      });
    }

    stopPeer() {
      this.peer?.close();
      this.peer = null;
      this.video.srcObject = null;
      this.video.hidden = true;
    }

    stop() {
      this.isWanted = false;
      this.stopPeer();
      this.image.removeAttribute("src");
      this.image.hidden = true;
    }
  }

  evio.Video = Video;
})();
