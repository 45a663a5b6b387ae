"""The page: a web server (viser) that shows a session's cloud, and asks the session again after every change."""

from __future__ import annotations

import io
import queue
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from typing import Any

import numpy as np

from s4token_model import command_line
from s4token_model.explore import html_text
from s4token_model.explore.address import Address, check_address
from s4token_model.explore.panel import CLICK_HINT, Panel
from s4token_model.explore.picking import pick
from s4token_model.explore.state import Choice, Drawn, View
from s4token_model.pictures.camera import FIELD_OF_VIEW

CLOUD, MARK = "/cloud", "/superpoint"
MARK_COLOR, MARK_SIZE = (255, 0, 200), 1.6  # of the clicked superpoint, the size in those of the points
PAUSE_S = 0.25  # after a preview, in which the browser draws; then all points are labeled
POINT_SIZE = 1.15  # times the spacing of the points: surfaces look closed


class Page:
    """Shows a session to browsers. `run` works until it is interrupted; everything else happens in its thread."""

    def __init__(self, session: Any, address: Address) -> None:
        """Serve the page. ValueError if the address is taken or not of this machine."""
        viser = import_viser()
        check_address(address)
        self._session, self._tasks = session, queue.SimpleQueue()
        self._view: View | None = None
        self._asked: Choice | None = None
        self._drawn: tuple[Drawn, bool] | None = None  # what the browsers have, and whether rooms are open
        with redirect_stdout(io.StringIO()):  # its banner
            self._server = viser.ViserServer(address.host, address.port, label="s4token", verbose=False)
        self.address = address._replace(port=self._server.get_port())
        self.panel = Panel(self._server.gui, session.about, session.wake.set, self._later(self._save))
        self._server.gui.main_panel.dock_right()
        self._server.scene.set_up_direction("+z")
        self._server.scene.on_click()(self._later(self._click))
        session.wake.set()

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Answer the browsers until KeyboardInterrupt, or `until` says so after a change."""
        try:
            while not until():
                self._session.wake.wait()
                self._session.wake.clear()
                self._guarded(self._refresh)
                with suppress(queue.Empty):
                    while True:
                        self._guarded(self._tasks.get_nowait())
        finally:
            with redirect_stdout(io.StringIO()):
                self._server.stop()

    def _later(self, task: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return a callback that leaves its work to the thread of `run`."""

        def callback(event: Any) -> None:
            self._tasks.put(lambda: task(event))
            self._session.wake.set()

        return callback

    def _guarded(self, task: Callable[[], None]) -> None:
        """Show what is wrong in one line: the page goes on."""
        try:
            task()
        except Exception as reason:
            self.panel.show_error(command_line.describe(reason))

    def _refresh(self) -> None:
        """Show what the user has set; first the drawn points alone where all take longer."""
        choice = self.panel.choice()
        if choice != self._asked:
            self._unmark()
            preview = self._session.preview(choice)
            if preview is not None:
                self._show(preview)
                if self._session.wake.wait(PAUSE_S):  # another letter was typed
                    return
        self._show(self._session.view(choice))
        self._asked = choice

    def _show(self, view: View) -> None:
        """Send what has changed: points only of another cloud, else three bytes of color per point."""
        points, colors = view.drawn.points, (view.colors * view.drawn.shade[:, None]).astype(np.uint8)
        if self.panel.cut.value and not view.drawn.open.all():
            points, colors = points[view.drawn.open], colors[view.drawn.open]
        with self._server.atomic():
            if self._drawn is None or self._drawn[0] is not view.drawn or self._drawn[1] != self.panel.cut.value:
                self._show_points(view.drawn, points, colors)
            elif self._view is None or not np.array_equal(self._view.colors, view.colors):
                self._cloud.colors = colors
            if self._cloud.point_size != (size := self._size(view.drawn)):
                self._cloud.point_size = size
            self.panel.show_view(view, len(points))
        self._view = view

    def _show_points(self, drawn: Drawn, points: np.ndarray, colors: np.ndarray) -> None:
        """Send the points of another cloud, and, of the first one, where to see them from."""
        if self._drawn is None:
            camera = self._server.initial_camera
            camera.fov, camera.far = float(np.radians(FIELD_OF_VIEW)), 1000 * float(np.linalg.norm(drawn.eye)) + 10
            camera.position, camera.look_at = drawn.eye, drawn.look_at
        self._cloud = self._server.scene.add_point_cloud(
            CLOUD, points, colors, point_size=self._size(drawn), point_shape="circle", precision="float32",
            point_shading="flat",
        )  # fmt: skip
        self._unmark()
        self._drawn = drawn, self.panel.cut.value

    def _size(self, drawn: Drawn) -> float:
        return POINT_SIZE * drawn.spacing * self.panel.size.value

    def _click(self, event: Any) -> None:
        """Show what is known about the point under the mouse, and mark its superpoint."""
        if self._view is None:
            return
        drawn = self._view.drawn
        visible = np.flatnonzero(drawn.open) if self.panel.cut.value else np.arange(len(drawn.points))
        row = pick(drawn.points[visible], event.ray_origin, event.ray_direction, drawn.spacing)
        self._unmark()
        if row is None:
            self.panel.show_inspection(html_text.hint("No point there; click on one."))
            return
        found = self._session.inspect(self.panel.choice(), int(visible[row]))
        self.panel.show_inspection(html_text.inspection(found))
        if len(found.members):
            self._mark = self._server.scene.add_point_cloud(
                MARK, drawn.points[found.members], MARK_COLOR, point_size=MARK_SIZE * self._size(drawn),
                point_shape="circle", precision="float32", point_shading="flat",
            )  # fmt: skip

    def _unmark(self) -> None:
        """Forget the clicked point: its mark hides colors, and its cosines are with other words."""
        self._server.scene.remove_by_name(MARK)
        self.panel.show_inspection(html_text.hint(CLICK_HINT))

    def _save(self, suffix: str) -> None:
        """Send a file to the browsers: the words, or the labeled cloud."""
        choice = self.panel.choice()
        if suffix == ".txt":
            name, content = "words.txt", self._session.words_file(choice).encode()
        else:
            name, content = f"labeled{suffix}", self._session.labels_file(choice, suffix)
        self._server.send_file_download(name, content, save_immediately=True)


def import_viser() -> Any:
    """Import viser; ImportError says how to install it."""
    try:
        import viser
    except ImportError as reason:
        raise ImportError(f"s4token explore needs viser ({reason}); install it with: pip install viser") from reason
    return viser
