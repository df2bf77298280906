"""The report as JUnit XML: one suite for each of ours, one test for each rule and each case."""

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from chassis_tools.evals.gate.result import Finding, GateVerdict
from chassis_tools.evals.report.report import CaseLine, Report, SuiteReport


def junit(report: Report) -> str:
    """Return the document. Only rules fail in it: a wrong case that no rule minds is printed, and does not fail."""
    root = Element("testsuites", name=report.project)
    for suite in report.suites:
        _suite(root, suite)
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(root: Element, suite: SuiteReport) -> None:
    node = SubElement(root, "testsuite", name=suite.name)
    for finding in suite.findings:
        _rule(SubElement(node, "testcase", classname=f"{suite.name}.rules", name=finding.rule), finding)
    for case in suite.cases:
        classname = f"{suite.name}.{case.tags[0] if case.tags else 'cases'}"
        _case(SubElement(node, "testcase", classname=classname, name=case.id, time=f"{case.seconds:.3f}"), case)
    tests = list(node)
    node.set("tests", str(len(tests)))
    node.set("failures", str(sum(test.find("failure") is not None for test in tests)))
    node.set("errors", str(sum(test.find("error") is not None for test in tests)))
    node.set("skipped", str(sum(test.find("skipped") is not None for test in tests)))


def _rule(node: Element, finding: Finding) -> None:
    match finding.verdict:
        case GateVerdict.FAIL if finding.severity == "block":
            SubElement(node, "failure", message=finding.sentence)
        case GateVerdict.NO_EVIDENCE if finding.severity == "block":
            SubElement(node, "error", message=finding.sentence)
        case GateVerdict.INCONCLUSIVE:
            SubElement(node, "skipped", message=finding.sentence)
        case _:
            SubElement(node, "system-out").text = finding.sentence


def _case(node: Element, case: CaseLine) -> None:
    if case.status in {"outage", "judge_error", "skipped"}:
        SubElement(node, "skipped", message=f"{case.status}: {case.error}")
    elif case.change == "worse":
        SubElement(node, "failure", message="worse than in the accepted run")
    elif not case.is_right:
        SubElement(node, "system-out").text = "wrong, as in the accepted run" if case.accepted else "wrong"
