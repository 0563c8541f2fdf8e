import httpx
import pytest

from lab import airflow


def served(monkeypatch, codes):
    monkeypatch.setattr(airflow.time, "sleep", lambda _seconds: None)
    answers = iter(codes)

    def answer(_request):
        return httpx.Response(next(answers), json={"name": "customer_hosts"})

    client = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://lab.example")
    return airflow.Airflow("http://lab.example", "secret", client)


def test_a_busy_database_is_asked_again(monkeypatch):
    server = served(monkeypatch, [500, 500, 201])
    assert server.post("pools", {"slots": 8}) == {"name": "customer_hosts"}


@pytest.mark.parametrize("codes", [[500] * (airflow.BUSY_MOST + 1), [409]])
def test_what_asking_again_does_not_help_is_raised(monkeypatch, codes):
    with pytest.raises(httpx.HTTPStatusError, match=str(codes[-1])):
        served(monkeypatch, codes).post("pools", {"slots": 8})
