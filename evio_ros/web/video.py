"""The live view as video: WebRTC (VP8) by aiortc if it is installed, and MJPEG."""

from __future__ import annotations

import asyncio
import fractions
import importlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from evio_ros.web.live_view import LiveView
from evio_ros.web.picture_feed import PictureFeed

if TYPE_CHECKING:
    from evio_ros.representations.picture import Picture

__all__ = ["video_routes"]

_RATE_HZ = 25.0
_MOST_VIEWERS = 16
_MOST_PEERS = 4
"""WebRTC encodes for each viewer separately."""
_CONNECT_S = 15.0
_LONGEST_OFFER = 32_768
_CLOCK_HZ = 90_000
_BITRATE = 2_000_000
_BOUNDARY = "evio-frame"
_PROBLEMS: dict[int | str, dict[str, object]] = {
    400: {"description": "The offer is not a session description with video."},
    503: {"description": "A library is missing, or there are too many viewers."},
}


class OfferModel(BaseModel):
    """A session description from a browser."""

    sdp: Annotated[str, Field(max_length=_LONGEST_OFFER)]
    type: Literal["offer"]


class AnswerModel(BaseModel):
    """The session description in answer."""

    sdp: str
    type: Literal["answer"]


def video_routes(view: LiveView) -> APIRouter:
    """The routes of the video of a view."""
    router = APIRouter(prefix="/api/video", tags=["video"])
    feed: PictureFeed | None = None
    peers: set[Any] = set()

    def the_feed() -> PictureFeed:
        nonlocal feed
        # Made where its event loop runs.
        feed = feed or PictureFeed(view, _RATE_HZ, _MOST_VIEWERS)
        if feed.is_full:
            raise HTTPException(503, f"{_MOST_VIEWERS} viewers are connected already")
        return feed

    @router.post("/offer", responses=_PROBLEMS)
    async def offer(body: OfferModel) -> AnswerModel:
        """Answer an offer to receive the video by WebRTC; addresses within the network only."""
        if len(peers) >= _MOST_PEERS:
            raise HTTPException(503, f"{_MOST_PEERS} viewers use WebRTC already; try MJPEG")
        return await _answer(the_feed(), body, peers)

    # No part of the description: an answer without end.
    @router.get("/mjpeg", include_in_schema=False)
    async def mjpeg() -> StreamingResponse:
        """The video as JPEG after JPEG."""
        watched = the_feed()
        try:
            import cv2  # noqa: F401
        except ImportError:
            raise HTTPException(503, "MJPEG needs OpenCV: pip install 'evio_ros[vision]'") from None
        kind = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
        return StreamingResponse(
            _parts(watched), media_type=kind, headers={"cache-control": "no-store"}
        )

    return router


async def _parts(feed: PictureFeed) -> AsyncIterator[bytes]:
    """JPEG pictures as parts of one answer: the newest whenever the viewer has taken the last."""
    number = 0
    async with feed.watching():
        while True:
            number, jpeg = await feed.jpeg_after(number)
            head = (
                f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            )
            yield head.encode() + jpeg + b"\r\n"


async def _answer(feed: PictureFeed, offered: OfferModel, peers: set[Any]) -> AnswerModel:
    """Connect a viewer.

    Raises:
        HTTPException: where aiortc is missing or the offer is none.
    """
    try:
        # Its import takes seconds on a busy machine, for which nobody else should wait.
        await asyncio.to_thread(importlib.import_module, "aiortc")
        from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
    except ImportError:
        raise HTTPException(503, "WebRTC needs aiortc: pip install 'evio_ros[video]'") from None
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peers.add(peer)
    try:
        await peer.setRemoteDescription(RTCSessionDescription(offered.sdp, offered.type))
        if not any(one.kind == "video" for one in peer.getTransceivers()):
            raise ValueError("it does not request video")
        _prefer_vp8(peer)
        peer.addTrack(_track(feed))
        await peer.setLocalDescription(await peer.createAnswer())
    except Exception as error:  # aiortc raises whatever its parsers meet
        peers.discard(peer)
        await peer.close()
        raise HTTPException(400, f"the offer cannot be answered: {error}") from None
    _watch(peer, peers)
    return AnswerModel(sdp=peer.localDescription.sdp, type="answer")


def _prefer_vp8(peer: Any) -> None:
    """VP8 costs less than H264 here; its usual bit rates are those of a face, not of noise."""
    from aiortc import RTCRtpSender
    from aiortc.codecs import vpx

    vpx.DEFAULT_BITRATE = vpx.MAX_BITRATE = _BITRATE
    codecs = RTCRtpSender.getCapabilities("video").codecs
    vp8 = [one for one in codecs if one.mimeType in ("video/VP8", "video/rtx")]
    for transceiver in peer.getTransceivers():
        if transceiver.kind == "video":
            transceiver.setCodecPreferences(vp8)
            transceiver.direction = "sendonly"


def _watch(peer: Any, peers: set[Any]) -> None:
    """Close a connection that has ended, or never begins."""

    async def close() -> None:
        peers.discard(peer)
        await peer.close()

    @peer.on("connectionstatechange")
    async def changed() -> None:
        if peer.connectionState in ("failed", "closed", "disconnected"):
            await close()

    async def give_up() -> None:
        await asyncio.sleep(_CONNECT_S)
        if peer.connectionState != "connected":
            await close()

    waiting = asyncio.create_task(give_up())
    peer.once("close", waiting.cancel)


def _track(feed: PictureFeed) -> Any:
    """A track of the pictures of a feed."""
    from aiortc import MediaStreamTrack
    from av import VideoFrame

    class PictureTrack(MediaStreamTrack):
        """The newest picture whenever the sender asks for one."""

        kind = "video"

        def __init__(self) -> None:
            super().__init__()
            self._number = 0
            self._watching: Any = None
            self._began_s = 0.0

        async def recv(self) -> VideoFrame:
            loop = asyncio.get_running_loop()
            if self._watching is None:
                self._watching = feed.watching()
                await self._watching.__aenter__()
                self._began_s = loop.time()
            self._number, picture = await feed.after(self._number)
            frame = VideoFrame.from_ndarray(_even(picture), format="rgb24")
            frame.pts = round((loop.time() - self._began_s) * _CLOCK_HZ)
            frame.time_base = fractions.Fraction(1, _CLOCK_HZ)
            return frame

        def stop(self) -> None:
            super().stop()
            watching, self._watching = self._watching, None
            if watching is not None:
                # The task is kept by the loop until it is done.
                asyncio.ensure_future(watching.__aexit__(None, None, None))  # noqa: RUF006

    return PictureTrack()


def _even(picture: Picture) -> Picture:
    """Without a last odd row or column, which the video's colours cannot have."""
    rows, columns = (side - side % 2 for side in picture.shape[:2])
    return picture[:rows, :columns].copy() if (rows, columns) != picture.shape[:2] else picture
