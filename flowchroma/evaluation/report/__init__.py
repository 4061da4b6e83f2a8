"""The report of an evaluation: JSON and CSV for machines, a page and a table for people."""

from flowchroma.evaluation.report.contents import MethodScores, Report, Still
from flowchroma.evaluation.report.json_csv import write_csv, write_json
from flowchroma.evaluation.report.report_page import write_html
from flowchroma.evaluation.report.terminal import print_table
