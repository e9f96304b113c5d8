// The picture as video: WebRTC, or where that fails, MJPEG.
"use strict";

(() => {
  const GATHER_MS = 1500, FIRST_FRAME_MS = 5000, AGAIN_MS = 2000;

  class Video {
    /** `told` hears what is shown, or why nothing is. */
    constructor(told) {
      this.peer = null;
      this.told = told;
      this.video = evio.byId("video");
      this.image = evio.byId("mjpeg");
      this.image.addEventListener("load", () => { if (this.isWanted) this.told("video by MJPEG"); });
      this.image.addEventListener("error", () => this.fail());
    }

    async start() {
      this.isWanted = true;
      this.told("connecting");
      try {
        await this.connect();
        if (this.isWanted) this.told("video by WebRTC");
      } catch {
        this.stopPeer();
        if (!this.isWanted) return;
        this.image.hidden = false;
        // Another address each time: the browser remembers one that failed.
        this.image.src = evio.address(`api/video/mjpeg?${Date.now()}`);
      }
    }

    /** Tries again a little later: the server has ended, or has too many viewers. */
    fail() {
      if (!this.isWanted) return;
      this.stop();
      this.isWanted = true;
      this.told("no video: trying again");
      clearTimeout(this.again);
      this.again = setTimeout(() => { if (this.isWanted) this.start(); }, AGAIN_MS);
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
        setTimeout(() => reject(new Error("no picture arrived")), FIRST_FRAME_MS);
      });
      peer.addEventListener("connectionstatechange", () => {
        if (peer === this.peer && /failed|disconnected|closed/.test(peer.connectionState)) this.fail();
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
      clearTimeout(this.again);
      this.stopPeer();
      this.image.removeAttribute("src");
      this.image.hidden = true;
    }
  }

  evio.Video = Video;
})();
