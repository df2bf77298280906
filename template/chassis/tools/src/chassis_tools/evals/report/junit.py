"""The report as JUnit XML: a test suite per evaluation suite, a test per rule and per case."""

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from chassis_tools.evals.gate.result import Finding, GateVerdict
from chassis_tools.evals.report.report import CaseResult, Report, SuiteReport


def to_junit(report: Report) -> str:
    """Return the XML; a failing case that is no regression is reported as output, not as a failure."""
    root = Element("testsuites", name=report.project)
    for suite in report.suites:
        _add_suite(root, suite)
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_suite(root: Element, suite: SuiteReport) -> None:
    node = SubElement(root, "testsuite", name=suite.name)
    for finding in suite.findings:
        _add_finding(SubElement(node, "testcase", classname=f"{suite.name}.rules", name=finding.rule), finding)
    for case in suite.cases:
        classname = f"{suite.name}.{case.tags[0] if case.tags else 'cases'}"
        _add_case(SubElement(node, "testcase", classname=classname, name=case.id, time=f"{case.seconds:.3f}"), case)
    tests = list(node)
    node.set("tests", str(len(tests)))
    for total, child in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        node.set(total, str(sum(test.find(child) is not None for test in tests)))


def _add_finding(node: Element, finding: Finding) -> None:
    match finding.verdict:
        case GateVerdict.FAIL if finding.severity == "block":
            SubElement(node, "failure", message=finding.sentence)
        case GateVerdict.NO_EVIDENCE if finding.severity == "block":
            SubElement(node, "error", message=finding.sentence)
        case GateVerdict.INCONCLUSIVE:
            SubElement(node, "skipped", message=finding.sentence)
        case _:
            SubElement(node, "system-out").text = finding.sentence


def _add_case(node: Element, case: CaseResult) -> None:
    if case.status in {"outage", "judge_error", "skipped"}:
        SubElement(node, "skipped", message=f"{case.status}: {case.error}")
    elif case.change == "regressed":
        SubElement(node, "failure", message="Regression: worse than in the accepted run")
    elif not case.passes:
        comparison = "as in the accepted run" if case.change == "unchanged" else case.change
        SubElement(node, "system-out").text = f"Fails, {comparison}"
