"""Normals of discs, from circles in space projected by hand."""

import math

import numpy as np
import pytest

from evio_ros.ellipse import Ellipse
from evio_ros.errors import ParameterError
from evio_ros.fusion.disc_normal import DiscNormal, Intrinsics, NormalChooser, disc_normals
from evio_ros.pipeline import measure_batches
from evio_ros.rotation.detector_parameters import RotationDetectorParameters
from evio_ros.simulation.camera import SensorParameters
from evio_ros.simulation.scene import BladePattern, Path, Rotor, Scene
from evio_ros.simulation.simulator import simulate
from evio_ros.simulation.speed import SpeedProfile

CAMERA = Intrinsics((900.0, 900.0), (640.0, 360.0))


def unit(x, y, z):
    vector = np.array((x, y, z), dtype=float)
    return vector / np.linalg.norm(vector)


def image_of_circle(center, normal, radius, camera=CAMERA):
    """The ellipse as which a circle in space appears, by 360 of its points."""
    first = unit(*np.cross(normal, (0.3, 1.0, 0.2)))
    second = np.cross(normal, first)
    angles = np.radians(np.arange(360))[:, None]
    points = np.array(center) + radius * (np.cos(angles) * first + np.sin(angles) * second)
    x, y = camera.focal[0] * points[:, :2].T / points[:, 2]
    x, y = x + camera.principal[0], y + camera.principal[1]
    # Least squares of a conic through the points, about their mean.
    mx, my, size = x.mean(), y.mean(), np.ptp(x)
    u, v = (x - mx) / size, (y - my) / size
    a, b, c, d, e = np.linalg.lstsq(
        np.stack((u * u, u * v, v * v, u, v), 1), np.ones(len(u)), rcond=None
    )[0]
    shape = np.array(((a, b / 2), (b / 2, c)))
    middle = np.linalg.solve(-2 * shape, (d, e))
    values, vectors = np.linalg.eigh(shape / (1 + middle @ shape @ middle))
    axes = size / np.sqrt(values)
    tilt = math.atan2(vectors[1, 0], vectors[0, 0])
    tilt = (tilt + math.pi / 2) % math.pi - math.pi / 2
    return Ellipse((mx + size * middle[0], my + size * middle[1]), (axes[0], axes[1]), tilt)


def angle_between(a, b):
    return math.degrees(math.acos(min(float(np.dot(a, b)), 1.0)))


@pytest.mark.parametrize(
    "center", [(0.0, 0.0, 5.0), (1.5, -0.8, 4.0), (-2.0, 1.0, 5.0)], ids=["axis", "right", "left"]
)
@pytest.mark.parametrize(
    "normal", [unit(0.3, 0.1, -1), unit(-0.5, 0.8, -0.6), unit(0.9, 0.0, -0.4), unit(0, 2, -0.6)]
)
def test_one_of_the_two_normals_is_the_right_one(center, normal):
    if normal @ center > 0:
        normal = -normal
    ellipse = image_of_circle(center, normal, 0.4)
    pair = disc_normals(ellipse, CAMERA)
    assert min(angle_between(one.normal, normal) for one in pair) < 0.05
    for one in pair:
        assert np.linalg.norm(one.normal) == pytest.approx(1.0)
        assert one.normal @ center < 0  # towards the camera


def test_the_two_normals_of_a_disc_on_the_axis_mirror_each_other():
    """Seen along the axis, a disc of half the width is tilted by 60 degrees to either side."""
    small = Intrinsics((1e6, 1e6), (640.0, 360.0))  # nearly parallel rays
    pair = disc_normals(Ellipse((640.0, 360.0), (40.0, 20.0), 0.0), small)
    found = sorted((one.normal for one in pair), key=lambda one: one[1])
    side = math.sqrt(3) / 2
    assert found[0] == pytest.approx((0.0, -side, -0.5), abs=1e-3)
    assert found[1] == pytest.approx((0.0, side, -0.5), abs=1e-3)


@pytest.mark.parametrize("flat", [0.3, 0.7, 0.95])
def test_covariance_is_that_of_outlines_with_noise(flat):
    """300 outlines sheared at random scatter as the covariance says."""
    random = np.random.default_rng(4)
    nominal = Ellipse((700.0, 300.0), (50.0, 50.0 * flat), 0.4)
    first, _ = disc_normals(nominal, CAMERA, 0.01)
    turn = np.array(((math.cos(0.4), -math.sin(0.4)), (math.sin(0.4), math.cos(0.4))))
    off = []
    for a, b in random.normal(0.0, 0.01, (300, 2)):
        outline = turn @ np.diag(nominal.axes) @ turn.T @ np.array(((1 + a, b), (b, 1 - a)))
        u, (major, minor), _ = np.linalg.svd(outline)
        sheared = Ellipse(nominal.center, (major, minor), math.atan2(u[1, 0], u[0, 0]))
        normals = [one.normal for one in disc_normals(sheared, CAMERA)]
        off.append(min((n - first.normal for n in normals), key=np.linalg.norm))
    scatter = np.sqrt(np.trace(np.array(off).T @ np.array(off) / len(off)))
    assert math.sqrt(np.trace(first.covariance)) == pytest.approx(scatter, rel=0.25)


def test_face_on_the_tilt_is_known_to_a_root_only():
    """A shear of 1 % tilts a disc by acos(0.98 / 1): 8 to 12 degrees, to either side."""
    face_on, _ = disc_normals(Ellipse((640.0, 360.0), (50.0, 50.0), 0.0), CAMERA, 0.01)
    std_deg = math.degrees(math.sqrt(np.trace(face_on.covariance)))
    assert 6.0 < std_deg < 20.0


def noisy(pair, random):
    """Normals off by as much as their covariance says."""
    return tuple(
        DiscNormal(random.multivariate_normal(*one, check_valid="ignore"), one.covariance)
        for one in pair
    )


@pytest.mark.parametrize("normal", [unit(0.4, 0.5, -0.8), unit(-0.4, -0.5, -0.8)])
def test_rotors_of_one_vehicle_settle_which_normal_is_right(normal):
    random = np.random.default_rng(8)
    chooser = NormalChooser()
    places = {1: (-0.9, -0.4, 3.5), 2: (0.9, -0.3, 3.6), 3: (-0.8, 0.7, 3.4), 4: (0.9, 0.8, 3.5)}
    pairs = {n: disc_normals(image_of_circle(p, normal, 0.3), CAMERA) for n, p in places.items()}
    groups = dict.fromkeys(places, 7)
    said = [chooser.update(groups, {n: noisy(p, random) for n, p in pairs.items()})]
    assert said[0] == {}  # one window is not enough
    for _ in range(60):
        said.append(chooser.update(groups, {n: noisy(p, random) for n, p in pairs.items()}))
    assert set(said[-1]) == set(places)
    for one in said[-1].values():
        assert angle_between(one.normal / np.linalg.norm(one.normal), normal) < 12.0
    # Once it is settled it does not hop.
    first = next(index for index, one in enumerate(said) if one)
    for window in said[first:]:
        assert all(np.dot(one.normal, normal) > 0.9 for one in window.values())


def test_nothing_is_settled_for_a_rotor_by_itself_or_by_discs_at_one_place():
    chooser = NormalChooser()
    pair = disc_normals(Ellipse((640.0, 360.0), (40.0, 20.0), 0.3), CAMERA)
    for _ in range(50):
        assert chooser.update({1: 0}, {1: pair}) == {}
        assert chooser.update({1: 3, 2: 3}, {1: pair, 2: pair}) == {}


def test_an_ellipse_without_area_and_a_camera_without_focal_length_are_refused():
    with pytest.raises(ParameterError, match="does not determine a normal"):
        disc_normals(Ellipse((0.0, 0.0), (3.0, 0.0), 0.0), CAMERA)
    with pytest.raises(ParameterError, match="does not determine a normal"):
        disc_normals(Ellipse((math.nan, 0.0), (3.0, 1.0), 0.0), CAMERA)
    with pytest.raises(ParameterError, match="focal"):
        Intrinsics((0.0, 900.0), (0.0, 0.0))
    with pytest.raises(ParameterError, match="focal"):
        Intrinsics((1e300, 900.0), (0.0, 0.0))
    for principal in ((math.nan, 0.0), (0.0, 1e300)):
        with pytest.raises(ParameterError, match="principal point"):
            Intrinsics((900.0, 900.0), principal)


@pytest.mark.parametrize("axes", [(0.2, 0.1), (1e5, 101.0), (1e5, 1e5)])
@pytest.mark.parametrize("place", [-1e5, 0.0, 1e5])
@pytest.mark.parametrize("focal", [1.0, 1e3, 1e6])
def test_normals_of_the_strangest_discs_are_unit_vectors(axes, place, focal):
    camera = Intrinsics((focal, focal), (place, -place))
    for found in disc_normals(Ellipse((place, place), axes, 0.3), camera):
        assert np.linalg.norm(found.normal) == pytest.approx(1.0)
        assert np.isfinite(found.covariance).all()


def test_detected_rotors_of_a_simulated_drone_tell_its_tilt():
    """Four propellers, tilted by 40 degrees, before a wide-angle camera: simulated and detected."""
    wide = Intrinsics((260.0, 260.0), (130.0, 110.0))
    normal = unit(0.35, 0.55, -0.8)
    places = ((-0.9, -0.7, 3.0), (0.9, -0.8, 3.0), (-0.9, 0.7, 3.0), (0.9, 0.7, 3.0))
    rotors = tuple(
        Rotor(
            Path.fixed(image_of_circle(place, normal, 0.42, wide)),
            SpeedProfile.constant(rpm),
            BladePattern(blades=2, half_width_rad=0.2, reflectance=0.05),
        )
        for place, rpm in zip(places, (2217.3, -2341.9, 2103.1, -2459.7), strict=True)
    )
    camera = SensorParameters(width=260, height=220, hot_pixels=2)
    batches = list(simulate(Scene("drone", rotors), camera, 700_000))
    chooser, normals = NormalChooser(), {}
    parameters = RotationDetectorParameters(window_us=20_000, step_us=20_000)
    for measurement in measure_batches(batches, camera.size, parameters, 0, 700_000):
        pairs = {
            one.id: disc_normals(Ellipse(one.center, one.axes, one.tilt_rad), wide)
            for one in measurement.rotors
        }
        normals = chooser.update(dict.fromkeys(pairs, 1), pairs)
    assert len(normals) == 4
    for one in normals.values():
        assert angle_between(one.normal, normal) < 6.0
        off = one.normal - normal
        assert off @ np.linalg.solve(one.covariance + 1e-6 * np.eye(3), off) < 16.0
