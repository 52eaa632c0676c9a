"""The prompts that a parity file is written of where nobody gives rows: plain requests of many kinds, in English.

Tokens of a prompt are compared like those of an answer, so what matters is that the texts vary, not their task.
"""

PROMPTS = (
    "Write a polite reply to a customer whose parcel arrived two days late.",
    "List the steps to reset a wireless router, in order.",
    "Summarise in one sentence: The board met on Tuesday, approved the budget, and put off the vote on hiring.",
    "Turn this into JSON: name Ada Brandt, order 4471, product desk lamp, problem broken switch.",
    "Write an SQL query that counts the orders of each customer since January.",
    "Which label fits: billing, shipping or technical? 'I was charged twice for the same invoice.'",
    "Translate into formal English: gonna be late, train's stuck again, sorry!",
    "What is the difference between a list and a tuple in Python?",
    "Explain photosynthesis to a child of eight.",
    "Give three reasons to keep a changelog.",
    "Correct the grammar: She don't know where the keys is.",
    "Write a regular expression that matches a date such as 2024-05-31.",
    "How many minutes are there in three and a half hours?",
    "Name the planets of the solar system by their distance from the sun.",
    "Draft a short notice that the office is closed on Friday.",
    "Classify the sentiment as positive, negative or neutral: The screen is fine but the battery dies by noon.",
    "Extract all e-mail addresses: write to help@example.com or, after six, to night.desk@example.org.",
    "Suggest a title for a talk on measuring the latency of web services.",
    "What should a good bug report contain?",
    "Rewrite in the passive voice: The technician replaced the pump.",
    "A shop sells pens at 3 for 2 euros. What do 12 pens cost?",
    "Write a haiku about rain on a tin roof.",
    "Compare tea and coffee in two sentences.",
    "Which of these words does not belong: apple, pear, hammer, plum?",
    "Explain what a hash function is, and name one use.",
    "Write a function in JavaScript that reverses a string.",
    "Give the opposite of: generous, ancient, transparent, brief.",
    "Describe how to change a flat tyre.",
    "Turn into a list: we need flour, two eggs, some butter and a pinch of salt.",
    "What does HTTP status 404 mean, and what 503?",
    "Write a friendly reminder that an invoice is due in one week.",
    "Decide whether this is a question, an order or a statement: Close the window before you leave.",
)
