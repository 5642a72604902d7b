import pytest

from agent.collectors.exposition import Faults, Page, Parser
from agent.collectors.exposition.parser import MAX_SERIES_PER_NAME


def test_a_malformed_line_is_counted_and_the_rest_survives() -> None:
    """Where the library raises and loses the page, ours loses the line."""
    page = Parser({"x"}).parse(
        'x{a="1"} 1\nx{a="1" 2\nthis is no metric\nx{a="3"} nine\nx{a="2"} 2\n'
    )

    assert [value for _, value in page.samples["x"]] == [1, 2]
    assert page.malformed == 3
    assert page.malformed_example == 'x{a="1" 2'


@pytest.mark.parametrize("value", ["nine", "1_000", "", "0x10"])
def test_a_known_series_with_a_value_that_is_none_is_malformed(value: str) -> None:
    """The fast path is as strict about values as the careful one."""
    parser = Parser({"x"})
    parser.parse('x{a="1"} 1\nx{a="2"} 2\n')

    page = parser.parse(f'x{{a="1"}} {value}\nx{{a="2"}} 2\n')

    assert [value for _, value in page.samples["x"]] == [2]
    assert page.malformed == 1


def test_unwanted_samples_are_not_read() -> None:
    """What nobody asked for is not on the page, and no fault of it."""
    page = Parser({"x"}).parse('y{a="1"} 1\ny{a="2"} 2\nz 3\nx 4\n')

    assert list(page.samples) == ["x"]
    assert page.malformed == 0


def test_a_type_holds_wherever_it_stands() -> None:
    """A family keeps its type when its TYPE line stands elsewhere, or a stray line interrupts it."""
    text = "# TYPE x histogram\n# TYPE y gauge\nx_sum 1\nstray 2\nx_count 3\n# TYPE z counter\ny 4\nz 5\n"

    page = Parser({"x_sum", "x_count", "y", "z"}).parse(text)

    assert [page.type_of(name) for name in ("x_sum", "x_count", "y", "z", "w")] == [
        "histogram",
        "histogram",
        "gauge",
        "counter",
        "unknown",
    ]


def test_a_suffix_makes_no_type() -> None:
    """A counter named _count, a gauge named _sum and a histogram named _total are what TYPE says."""
    text = "# TYPE a_count counter\n# TYPE b_sum gauge\n# TYPE c_total histogram\n"

    page = Parser(()).parse(text)

    assert [page.type_of(name) for name in ("a_count", "b_sum", "c_total_bucket", "a_sum")] == [
        "counter",
        "gauge",
        "histogram",
        "unknown",
    ]


def test_two_types_for_one_family_are_a_conflict() -> None:
    """Twice the same type is fine, two different ones are neither."""
    page = Parser(()).parse(
        "# TYPE x gauge\n# TYPE x gauge\n# TYPE y gauge\n# TYPE y counter\n# TYPE z nonsense\n"
    )

    assert (page.type_of("x"), page.type_of("y"), page.type_of("z")) == (
        "gauge",
        "conflicting",
        "unknown",
    )
    assert page.malformed == 1


def test_equal_series_are_one_object() -> None:
    """The order of labels tells no series from another."""
    page = Parser({"x"}).parse('x{a="1",b="2"} 1\nx{b="2",a="1"} 2\nx{a="1"} 3\n')

    first, second, third = (series for series, _ in page.samples["x"])
    assert first is second
    assert third is not first


def test_a_name_with_too_many_series_is_given_up_alone() -> None:
    """A label with a value per request costs its own family, and no other."""
    bomb = "\n".join(f'x{{id="{number}"}} 1' for number in range(MAX_SERIES_PER_NAME + 1))

    page = Parser({"x", "y"}).parse(f"{bomb}\ny 1\n")

    assert set(page.samples) == {"y"}
    assert page.crowded == {"x"}


def test_labels_that_always_change_do_not_pile_up() -> None:
    """What is remembered stays within a bound, however many series came and went."""
    parser = Parser({"x"})

    for round_ in range(30):
        parser.parse("\n".join(f'x{{id="{round_}-{number}"}} 1' for number in range(200)))

    assert parser.remembered <= 2 * 200 + 1_000 + 200


def test_faults_are_gathered_per_kind_and_family() -> None:
    """A fault in each of a thousand lines is one problem, which says how often."""
    faults = Faults("chat")

    for number in range(1_000):
        faults.add("not_finite", "x", f"x is NaN in line {number}")
    faults.add_page(Page(samples={}, malformed=2, malformed_example="?!", crowded=frozenset({"y"})))

    reasons = {problem.reason: problem for problem in faults.problems()}
    assert set(reasons) == {"not_finite", "malformed_line", "too_many_series"}
    assert reasons["not_finite"].subject == "chat x"
    assert reasons["not_finite"].detail == "x is NaN in line 0 (and 999 more)"


@pytest.mark.parametrize(
    "line",
    ['name{}{a="b"} 1', "# TYPE name{} gauge", "garbage {} {", 'x{a="1"} 5 # {id="{}"} 1', "x 1"],
    ids=["new names", "types", "garbage", "exemplars", "doubles"],
)
def test_a_page_that_would_cost_too_much_is_given_up(line: str) -> None:
    """Whatever a page of megabytes is made of, time and memory spent on it are bounded."""
    text = "\n".join(line.replace("{}", str(number)) for number in range(300_000))
    parser = Parser({"x"})

    page = parser.parse(text)

    assert page.overfull
    assert page.malformed < 20_000
    assert parser.parse("x 1\n").samples.keys() == {"x"}
    assert len(parser._unwanted) <= 1_000


def test_lines_come_whole_out_of_slices() -> None:
    """A page that is read in parts is read like one that is not."""
    text = "".join(f'x{{a="{number % 5_000}"}} {number}\n' for number in range(30_000))

    page = Parser({"x"}).parse(text)

    assert len(text) > 2**18
    assert [value for _, value in page.samples["x"]] == [*range(30_000)]
    assert page.malformed == 0


@pytest.mark.parametrize("inside", ["a", '\\"', '",b="', "}"])
def test_a_line_like_a_book_is_malformed(inside: str) -> None:
    """One line of megabytes costs no more than any other, and the next one is read."""
    page = Parser({"x"}).parse(f'x{{a="{inside * 2_000_000}"}} 1\nx 2\n')

    assert page.malformed == 1
    assert len(page.malformed_example) < 200
    assert [value for _, value in page.samples["x"]] == [2]


def test_other_names_can_be_wanted_later() -> None:
    """What is wanted from then on is read also if it was passed over before; known series stay known."""
    parser, text = Parser({"x"}), 'x{a="1"} 1\ny{a="1"} 2\nz 3\n'
    before = parser.parse(text)

    parser.want(("x", "y"))
    after = parser.parse(text)

    assert before.samples.keys() == {"x"}
    assert {name: [value for _, value in samples] for name, samples in after.samples.items()} == {
        "x": [1],
        "y": [2],
    }
    assert after.samples["x"].series == before.samples["x"].series


def test_types_that_stay_are_one_object() -> None:
    """Who judged the types of a page once need not do it again while they are the same."""
    parser = Parser({"x"})
    first, same = parser.parse("# TYPE x gauge\nx 1\n"), parser.parse("# TYPE x gauge\nx 2\n")
    other = parser.parse("# TYPE x counter\nx 2\n")

    assert same.types is first.types
    assert other.types == {"x": "counter"}
    assert first.types == {"x": "gauge"}


def test_time_stamps_make_no_page_too_large() -> None:
    """A megabyte with a time stamp on each line is read like any other."""
    names = [f"x{number}" for number in range(10)]
    text = "\n".join(
        f'{name}{{id="{number}"}} {number} 1700000000123'
        for name in names
        for number in range(2_000)
    )

    page = Parser(names).parse(text)

    assert not page.overfull
    assert [len(page.samples[name]) for name in names] == [2_000] * 10
