"""Every question, by theme, in the order in which the report tells them."""

from sales_assets.questions import calendar, competition, data, promotions, series, stores

THEMES = {
    "The data": data.QUESTIONS,
    "Promotions": promotions.QUESTIONS,
    "The calendar": calendar.QUESTIONS,
    "The stores": stores.QUESTIONS,
    "Competition and refurbishment": competition.QUESTIONS,
    "The series": series.QUESTIONS,
}
QUESTIONS = tuple(question for questions in THEMES.values() for question in questions)
