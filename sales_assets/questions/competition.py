"""What competitors and refurbishments do to a store's sales."""

from sales_assets.questions.question import Question

QUESTIONS: tuple[Question, ...] = ()
