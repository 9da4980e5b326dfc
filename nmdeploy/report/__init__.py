"""Reports: what a deployment is, what it costs and what it gets right, from the bundle alone."""

from nmdeploy.report.activity import Activity
from nmdeploy.report.build import Report, build_report
from nmdeploy.report.cost import cost_line
from nmdeploy.report.figures import Accuracy, Kind, accuracy_figures
from nmdeploy.report.json_form import render_json
from nmdeploy.report.render import placement_table, render_markdown, render_text

__all__ = [
    "Accuracy",
    "Activity",
    "Kind",
    "Report",
    "accuracy_figures",
    "build_report",
    "cost_line",
    "placement_table",
    "render_json",
    "render_markdown",
    "render_text",
]
