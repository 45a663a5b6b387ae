"""Words as a parameter, a service and a topic agree; they, ~/filtered and labels of versions on a running node."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("s4token_interfaces")

import ros_helpers as ros
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import GetParameters
from ros_helpers import arrays, cloud, figures, label_cloud, room, set_parameter, wait_for
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import String

from s4token_ros.qos import LATCHED, cloud_qos

FAST = ("-p", "diagnostics.period:=0.1")
STATES = (
    Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_CLEANUP, Transition.TRANSITION_CONFIGURE,
    Transition.TRANSITION_ACTIVATE,
)  # fmt: skip


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    domain, folder = ros.claim_domain(), tmp_path_factory.mktemp("words")
    process = ros.NodeProcess(domain, folder / "log", *FAST, "-p", "vocabulary.names:=[floor, person]")
    with ros.peer_of(process, domain) as peer:
        yield peer


def names_shown(peer) -> list[str]:
    answer = peer.call(GetParameters, "/s4token/get_parameters", names=["vocabulary.names"])
    return list(answer.values[0].string_array_value)


def names_used(peer) -> list[str]:
    return list(peer.get_vocabulary().vocabulary.names)


def message_of(peer, text: str) -> dict[str, str]:
    collected = peer.diagnostics()
    wait_for(lambda: collected and text in figures(collected[-1])["message"], 30, text)
    collected.close()
    return figures(collected[-1])


def test_service_topic_and_parameter_show_the_same_words(peer):
    assert peer.set_vocabulary("sofa", "bed").success
    assert names_shown(peer) == names_used(peer) == ["sofa", "bed"]
    lines = peer.node.create_publisher(String, "/s4token/set_words", cloud_qos("reliable"))
    wait_for(lines.get_subscription_count)
    lines.publish(String(data="chair, coffee table ,floor"))
    wait_for(lambda: names_used(peer) == ["chair", "coffee table", "floor"], 30, "the words of the topic")
    wait_for(lambda: names_shown(peer) == ["chair", "coffee table", "floor"], 30, "the parameter")
    lines.publish(String(data="chair, chair"))
    message_of(peer, "the words of ~/set_words are not used: the word 'chair' is repeated")
    assert set_parameter(peer, "vocabulary.names", ["lamp"]).successful
    assert names_shown(peer) == names_used(peer) == ["lamp"]
    wait_for(lambda: "set_words" not in message_of(peer, "")["message"], 30, "the end of the message")
    lines.publish(String(data="bed, bed"))
    message_of(peer, "the words of ~/set_words are not used: the word 'bed' is repeated")
    assert peer.set_vocabulary("lamp").success
    wait_for(lambda: "set_words" not in message_of(peer, "")["message"], 30, "the end of the message")


def test_another_node_of_the_same_name_is_reported_while_it_runs(peer):
    twin = ros.Peer(peer.domain, "s4token")
    message_of(peer, "2 nodes are named /s4token: stop all but one")
    twin.close()
    wait_for(lambda: "are named" not in message_of(peer, "")["message"], 30, "the end of the message")


def test_words_survive_a_threshold_and_every_transition(peer):
    assert peer.set_vocabulary("sofa", "bed", templates=["one {}"], thresholds=[0.25, 0.5]).success
    kept = peer.get_vocabulary().vocabulary
    for transition in STATES:
        assert peer.call(ChangeState, "/s4token/change_state", transition=Transition(id=transition)).success
    again = peer.get_vocabulary().vocabulary
    assert (again.names, again.templates, again.thresholds) == (kept.names, kept.templates, kept.thresholds)
    assert again.version > kept.version and names_shown(peer) == ["sofa", "bed"]
    assert set_parameter(peer, "vocabulary.threshold", 0.75).successful
    changed = peer.get_vocabulary().vocabulary
    assert (changed.names, changed.templates, list(changed.thresholds)) == (kept.names, kept.templates, [0.75, 0.75])
    assert set_parameter(peer, "vocabulary.threshold", 0.0).successful


def test_every_labeled_cloud_names_its_vocabulary_and_relabeled_ones_another_with_the_same_stamp(peer):
    collected = peer.labeled()
    peer.connect(collected)
    first = label_cloud(peer, cloud(room(500)), collected)
    version = peer.get_vocabulary().vocabulary.version
    assert set(arrays(first)["vocabulary"]) == {version}
    answer = peer.set_vocabulary("sofa", "bed", "floor")
    wait_for(lambda: len(collected.by_stamp(first.header.stamp)) == 2, 30, "the relabeled cloud")
    assert set(arrays(collected.by_stamp(first.header.stamp)[1])["vocabulary"]) == {answer.version}
    collected.close()


def test_a_planner_gets_the_cloud_without_classes_or_none(peer):
    assert peer.set_vocabulary("floor", "person", "wall", thresholds=[0.0]).success
    refused = set_parameter(peer, "output.filtered_without", ["flor"])
    assert not refused.successful and "'flor' is none of the 3 class names; did you mean 'floor'?" in refused.reason
    assert set_parameter(peer, "output.filtered_without", ["Floors", "people"]).successful
    filtered, labeled = peer.collect(PointCloud2, "/s4token/filtered"), peer.labeled()
    peer.connect(filtered, labeled)
    points = room(900)
    answer = label_cloud(peer, cloud(points, "lidar"), labeled)
    wait_for(lambda: filtered.by_stamp(answer.header.stamp), 30, "the filtered cloud")
    found, (rest,) = arrays(answer), filtered.by_stamp(answer.header.stamp)
    assert bytes(rest.data) == points[found["label"] == 2].tobytes() and rest.header == answer.header
    # Words that are gone stop it: their points would pass under other labels
    answer = peer.set_vocabulary("floor", "wall")
    assert answer.success and "~/filtered is not published: output.filtered_without: 'people'" in answer.message
    filtered.clear()
    label_cloud(peer, cloud(points, "lidar"), labeled)
    message_of(peer, "~/filtered is not published: ")
    assert not filtered
    assert set_parameter(peer, "output.filtered_without", [""]).successful
    wait_for(lambda: not filtered.connected(), 30, "the end of the topic")
    filtered.close()
    labeled.close()


def test_a_map_that_is_published_once_is_there_for_those_who_come_later(peer):
    both = set_parameter(peer, "output.reliability", "best_effort")
    assert both.successful
    refused = set_parameter(peer, "output.durability", "transient_local")
    assert not refused.successful and "needs output.reliability: reliable" in refused.reason
    assert set_parameter(peer, "output.reliability", "reliable").successful
    assert set_parameter(peer, "output.durability", "transient_local").successful
    message = cloud(room(300))
    peer.points.publish(message)  # nobody subscribes
    late = peer.collect(PointCloud2, "/s4token/labeled", LATCHED)
    wait_for(lambda: late.by_stamp(message.header.stamp), 30, "the map")
    late.close()
    version = peer.set_vocabulary("lamp", "bed").version
    later = peer.collect(PointCloud2, "/s4token/labeled", LATCHED)  # no labels of an older version
    wait_for(lambda: later and set(arrays(later[-1])["vocabulary"]) == {version}, 30, "the relabeled map")
    later.close()
    # Another parameter of the outputs makes new publishers, which keep it, too
    assert set_parameter(peer, "output.class_topics", 2).successful
    again = peer.collect(PointCloud2, "/s4token/labeled", LATCHED)
    wait_for(lambda: again.by_stamp(message.header.stamp), 30, "the map from the new publisher")
    assert set(arrays(again[-1])["vocabulary"]) == {version}
    again.close()
    assert set_parameter(peer, "output.class_topics", 64).successful
    assert set_parameter(peer, "output.durability", "volatile").successful


def test_words_survive_a_restart_and_a_damaged_file_is_told(tmp_path):
    path = tmp_path / "words.json"
    arguments = (*FAST, "-p", f"vocabulary.store:={path}", "-p", "vocabulary.names:=[floor, wall]")
    for start, expected in enumerate((["floor", "wall"], ["sofa", "bed"], ["floor", "wall"])):
        domain = ros.claim_domain()
        process = ros.NodeProcess(domain, tmp_path / f"log{start}", *arguments)
        with ros.peer_of(process, domain) as peer:
            assert names_used(peer) == names_shown(peer) == expected
            if start == 0:
                assert peer.set_vocabulary("sofa", "bed", thresholds=[0.5]).success
            if start == 1:
                assert np.allclose(peer.get_vocabulary().vocabulary.thresholds, 0.5)
                assert not set_parameter(peer, "vocabulary.store", "/tmp/other").successful
                path.write_text("{")
            if start == 2:
                message_of(peer, "vocabulary.store is ignored until words are set")
