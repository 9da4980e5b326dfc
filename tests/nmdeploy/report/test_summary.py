from nmdeploy.report.summary import network_summary, table


def test_columns_of_numbers_go_to_the_right():
    text = table(("name", "count", "mixed"), [("a", "1,024", "1"), ("long", "-", "x"), ("b", "-3.5", "2")])
    assert text.splitlines() == [
        "name  count  mixed",
        "----  -----  -----",
        "a     1,024  1",
        "long      -  x",
        "b      -3.5  2",
    ]


def test_a_table_without_rows():
    assert table(("a", "bc"), []) == "a  bc\n-  --"


def test_the_summary_of_a_network(deployment):
    assert network_summary(deployment.network).splitlines() == [
        "small (integer; outputs: out)",
        "population  shape  neurons  model  weights  from",
        "----------  -----  -------  -----  -------  -------------------------------------------",
        "in          1x6x6       36  input        0  -",
        "conv        2x4x4       32  IF          18  in: Conv2d",
        "dead        3            3  IF           0  out: direct",
        "out         3            3  IF          24  conv: SumPool2d-Reshape-Dense, dead: direct",
    ]
