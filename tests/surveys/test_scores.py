import pytest

from mailcare.surveys.scores import QUESTIONS, SCORE_WORDS, Scores, score_text


def test_the_questions_and_words_are_those_of_the_form_in_its_order():
    assert list(QUESTIONS.values()) == ["服务满意度", "服务态度", "技术水平", "服务效果"]
    assert list(SCORE_WORDS) == [5, 4, 3, 2, 1, 0]
    assert list(SCORE_WORDS.values()) == ["很好", "好", "一般", "较差", "很差", "恶性事件"]


def test_a_question_left_open_has_no_score_and_nought_is_one():
    scores = Scores(satisfaction=0, skill=3)

    assert scores.given() == {"satisfaction": 0, "skill": 3}
    assert scores.worst_ones() == ("服务满意度",)
    assert Scores().given() == {}
    assert Scores().worst_ones() == ()


@pytest.mark.parametrize("score", [-1, 6])
def test_a_score_that_the_form_does_not_have_is_refused(score):
    with pytest.raises(ValueError, match="a score is one of"):
        Scores(effect=score)


def test_a_score_is_written_with_its_word():
    assert score_text(0) == "0 分（恶性事件）"
    assert score_text(5) == "5 分（很好）"
    assert score_text(None) == "未评"
