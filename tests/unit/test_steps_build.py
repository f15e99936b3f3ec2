"""The steps as data: variables, parameters, paths and what the host check concludes. Nothing is run here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.domain import step_names
from engine.domain.fleet import Host, ObjectRef, Package, StackParameter, TechStack
from engine.domain.problem import ProblemError
from engine.kinds.release import STEPS as RELEASE_STEPS
from engine.steps.context import StepContext, parameter, variables
from engine.steps.drain import drain_script
from engine.steps.host_check import HostFacts, host_problems, parse_host_check
from engine.steps.registry import look, remote_step, step

HOST = Host("hz-01", "127.0.0.1", 22, "admin", "hz-a", "hz-a-1", "i-1")
STACK = TechStack(
    "python-web", "1.0", ObjectRef("r", "b", "s.tar.gz", 1024, sha256="a" * 64), {"deploy": "bin/deploy.sh"}
)
URL = "https://lab.oss/s?x-oss-signature=s3cr3t"
CONTEXT = StepContext(
    HOST, STACK, "trade-core", "2.0.0", Package("trade-core", "2.0.0", ObjectRef("r", "b", "p/p.tar.gz")), URL, "", URL
)
FACTS = HostFacts("centos", "7.9", 10_000_000, 100_000, 1_000.0, (), "/home/admin", True, True, 0.1)


def with_host(**given: str) -> StepContext:
    return replace(CONTEXT, host=replace(HOST, variables=given))


def code_of(context: StepContext) -> str:
    with pytest.raises(ProblemError) as caught:
        variables(context)
    return caught.value.problem.code


def test_a_hosts_variable_wins_over_the_stacks_default() -> None:
    context = replace(with_host(app_port="4110"), stack=replace(STACK, parameters=(StackParameter("app_port", "80"),)))
    assert variables(context)["APP_PORT"] == "4110"
    assert parameter(context, "app_port", "1") == "4110"
    assert parameter(context, "other", "1") == "1"


def test_a_required_parameter_without_a_value_is_named() -> None:
    assert code_of(replace(CONTEXT, stack=replace(STACK, parameters=(StackParameter("dsn", required=True),)))) == (
        "parameter_missing"
    )


@pytest.mark.parametrize(
    ("name", "code"),
    [("a-b", "parameter_name_invalid"), ("x;rm", "parameter_name_invalid"), ("path", "parameter_reserved"),
     ("ld_preload", "parameter_reserved"), ("app_home", "parameter_reserved")],
)  # fmt: skip
def test_a_name_that_would_break_the_steps_is_refused(name: str, code: str) -> None:
    assert code_of(with_host(**{name: "x"})) == code


def test_urls_are_in_no_body_no_variable_and_no_repr() -> None:
    remote = [plan for plan in RELEASE_STEPS if not plan.on_balancer]
    built = [remote_step(plan, CONTEXT) for plan in remote]
    assert [each.name for each in built] == [plan.key for plan in remote]
    assert not any("s3cr3t" in each.body for each in built)
    assert sum(URL in each.secrets.values() for each in built) == 2
    assert "s3cr3t" not in repr(CONTEXT) + str(variables(CONTEXT))


@pytest.mark.parametrize(
    "url", ["", 'http://a/"x', "http://a/x\noutput=/etc/passwd", "file:///etc/passwd", "http://a/\\x"]
)
def test_a_url_that_curls_configuration_cannot_hold_is_refused(url: str) -> None:
    with pytest.raises(ProblemError) as caught:
        remote_step(step(step_names.DOWNLOAD_PACKAGE), replace(CONTEXT, package_url=url))
    assert caught.value.problem.code == "url_invalid"


def test_deadlines_are_parameters() -> None:
    assert remote_step(step(step_names.DEPLOY), with_host(deploy_deadline_s="33")).deadline_s == 33
    for bad in ("soon", "nan", "inf", "-1", "0"):
        with pytest.raises(ProblemError) as caught:
            remote_step(step(step_names.DEPLOY), with_host(deploy_deadline_s=bad))
        assert caught.value.problem.code == "parameter_value_invalid"


def test_a_script_outside_the_archive_is_refused() -> None:
    with pytest.raises(ProblemError) as caught:
        remote_step(step(step_names.DEPLOY), replace(CONTEXT, stack=replace(STACK, scripts={"deploy": "../../x.sh"})))
    assert caught.value.problem.code == "script_path_invalid"


def test_draining_no_port_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no ports"):
        drain_script(HOST, [], 10)


def problems(facts: HostFacts, host: Host = HOST, stack: TechStack = STACK, size: int = 0) -> list[str]:
    found = host_problems(
        facts, host, stack, region="cn-hangzhou", package_size=size, now=1_000.0, requires_staragent=True
    )
    assert all(str(problem.what) and str(problem.remedy) for problem in found)
    return [problem.code for problem in found]


def test_a_fit_host_has_no_problem() -> None:
    assert problems(FACTS) == []


def test_every_problem_of_a_host_is_named_at_once() -> None:
    bad = HostFacts("centos", "6.10", 100, 5, 900.0, ("curl",), "/home/admin", False, False)
    stack = replace(STACK, supported_os={"centos": ("7",)}, supported_regions=("cn-beijing",))
    assert problems(bad, replace(HOST, os="debian"), stack) == [
        "os_differs", "os_unsupported", "region_unsupported", "disk_low", "clock_skewed", "tool_missing",
        "home_not_writable", "agent_not_running",
    ]  # fmt: skip


def test_a_host_that_tells_nothing_is_not_taken_for_fit() -> None:
    assert {"disk_low", "clock_skewed", "home_not_writable", "agent_not_running"} <= set(
        problems(parse_host_check(b""))
    )


@pytest.mark.parametrize(
    ("versions", "fits"), [(("7",), True), ((), True), (("7.9",), True), (("6", "8"), False), (("79",), False)]
)
def test_versions_are_compared_by_their_parts(versions: tuple[str, ...], fits: bool) -> None:
    assert (problems(FACTS, stack=replace(STACK, supported_os={"CentOS": versions})) == []) is fits


def test_the_package_decides_how_much_room_is_needed() -> None:
    assert problems(FACTS, size=20 * 2**30) == ["disk_low"]


def test_centos_6_is_known_by_its_own_file_and_a_banner_is_passed_over() -> None:
    facts = parse_host_check(
        b"Welcome to a=b\nredhat=CentOS release 6.10 (Final)\nclock=5\n\xff\nmissing=curl\nmissing=awk\n"
    )
    assert (facts.os, facts.os_version, facts.clock, facts.tools_missing) == ("centos", "6.10", 5.0, ("curl", "awk"))


def test_a_health_check_with_a_deadline_of_its_own_ends_before_it_and_a_look_stays_short() -> None:
    built = remote_step(step(step_names.CHECK_HEALTH, deadline_s=200.0), CONTEXT)
    assert built.deadline_s == 200.0
    assert "date +%s) + 175" in built.body
    seen = look(step(step_names.CHECK_HEALTH, deadline_s=200.0), CONTEXT)
    assert seen is not None
    assert seen.deadline_s < 60
