"""The word lists that the corpus is drawn from: closed vocabularies, read only."""

# One word a line would be three hundred lines.
# fmt: off
FIRST_NAMES = (
    "Maria", "Lena", "Omar", "Ines", "Pavel", "Aisha", "Tomas", "Greta", "Hugo", "Nadia", "Felix", "Carla",
    "Ivan", "Sofia", "Dario", "Elena", "Marco", "Yuki", "Priya", "Samuel", "Clara", "Diego", "Anna", "Jonas",
    "Leila", "Viktor", "Rosa", "Emil", "Nora", "Kofi", "Mina", "Oskar", "Petra", "Rafael", "Selma", "Tariq",
    "Ursula", "Wanda", "Xenia", "Yusuf", "Zofia", "Bruno", "Celine", "Dmitri", "Esther", "Fatima", "Goran",
    "Helga",
)
LAST_NAMES = (
    "Lopez", "Weber", "Haddad", "Costa", "Novak", "Khan", "Berg", "Meyer", "Silva", "Petrov", "Fischer", "Rossi",
    "Kovacs", "Moreau", "Jansen", "Tanaka", "Patel", "Adams", "Keller", "Romero", "Olsen", "Schmidt", "Farah",
    "Ivanov", "Blanco", "Larsen", "Dubois", "Mensah", "Park", "Lind", "Vargas", "Okoye", "Aziz", "Becker",
    "Conti", "Duran", "Ekman", "Ferrari", "Gruber", "Horvat", "Ito", "Jensen", "Kaya", "Lehmann", "Molnar",
    "Nilsen", "Ortiz", "Popov", "Quinn", "Reyes", "Sato", "Toth", "Ueda", "Vogel", "Wolf", "Young", "Zeman",
    "Abbott", "Brandt", "Cruz", "Demir", "Engel", "Fuchs", "Gomez",
)
PRODUCT_LINES = (
    "Aurora", "Breeze", "Comet", "Delta", "Ember", "Falcon", "Granite", "Harbor", "Indigo", "Juniper", "Kestrel",
    "Lumen",
)
PRODUCT_KINDS = (
    "Lamp", "Kettle", "Router", "Speaker", "Camera", "Keyboard", "Monitor", "Printer", "Heater", "Blender",
)
CITIES = (
    "Berlin", "Madrid", "Oslo", "Lisbon", "Prague", "Vienna", "Dublin", "Athens", "Warsaw", "Zurich", "Milan",
    "Porto", "Lyon", "Ghent", "Turin", "Malmo", "Bergen", "Cork", "Graz", "Basel", "Seville", "Krakow", "Nantes",
    "Utrecht",
)
# fmt: on
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
LABELS = ("billing", "shipping", "refund", "login", "bug", "feature", "cancel", "warranty")
PRIORITIES = ("low", "normal", "high", "urgent")

PROBLEMS: dict[str, tuple[str, ...]] = {
    "billing": (
        "I was charged twice for my {product}",
        "The invoice for my {product} shows the wrong amount",
        "Your invoice lists a {product} that costs more than I agreed to",
        "My card was billed again for the {product}",
        "There is an extra fee on the bill for the {product}",
        "The tax on the invoice of my {product} looks wrong",
        "I need a corrected invoice for the {product}",
        "The discount on my {product} is missing from the bill",
    ),
    "shipping": (
        "My {product} has not arrived yet",
        "The tracking page for my {product} has not moved for days",
        "The parcel with my {product} went to the wrong address",
        "The courier could not find my door and took the {product} back",
        "When will the {product} be delivered",
        "The box with my {product} is still in transit",
        "The tracking number for the {product} does not work",
        "My {product} was sent to my old address",
    ),
    "refund": (
        "I sent the {product} back and want my money returned",
        "I am still waiting for the money for the returned {product}",
        "Please pay me back for the {product}",
        "The {product} is not what I wanted and I would like my money back",
        "I returned the {product} but have not been paid back",
        "How long does it take to get my money back for the {product}",
        "I want to return the {product} and be paid back in full",
        "You promised to pay me back for the {product}",
    ),
    "login": (
        "I cannot sign in to register my {product}",
        "My password for the {product} account is not accepted",
        "The code to sign in to my {product} account never comes",
        "I am locked out of the account for my {product}",
        "The reset link for my {product} account has expired",
        "I forgot the password of my {product} account",
        "The sign in page of the {product} app says unknown user",
        "My account for the {product} was blocked after three tries",
    ),
    "bug": (
        "The app of my {product} crashes when I open it",
        "The {product} freezes after the last update",
        "An error message appears each time I start the {product}",
        "The screen of the {product} app stays blank",
        "The {product} app loses its settings every night",
        "Since the update the {product} restarts by itself",
        "The {product} app shows the wrong time",
        "The button in the {product} app does nothing",
    ),
    "feature": (
        "It would be great if the {product} had a dark mode",
        "Please add a timer to the {product}",
        "Could the {product} app support two users",
        "I wish the {product} could be controlled by voice",
        "Are you planning a smaller version of the {product}",
        "I would love a weekly report from the {product} app",
        "Please let the {product} work with other brands",
        "An option to rename the {product} would be nice",
    ),
    "cancel": (
        "Please stop the order of my {product} before it leaves",
        "I no longer want the {product} and would like to call off the order",
        "I ordered the {product} by mistake, do not send it",
        "I want to end the subscription for my {product}",
        "Please close the plan that came with the {product}",
        "I changed my mind about the {product}, drop the order",
        "Take the {product} out of my order before it ships",
        "I would like to end my contract for the {product}",
    ),
    "warranty": (
        "My {product} broke within the guarantee period",
        "The {product} stopped working after two months, is that covered",
        "Is my {product} still under guarantee",
        "The handle of my {product} broke off, can you repair it",
        "I need a repair for my {product} under the guarantee",
        "A part of the {product} is worn out, is it covered",
        "The {product} does not turn on any more and is still covered",
        "How do I claim the guarantee for my {product}",
    ),
}
URGENCY: dict[str, tuple[str, ...]] = {
    "low": (
        "There is no hurry.",
        "Take your time.",
        "This can wait.",
        "Whenever you have a moment.",
        "It is not important.",
    ),
    "normal": (
        "Please have a look this week.",
        "I look forward to your answer.",
        "Please let me know.",
        "An answer in the next days would be fine.",
        "Please get back to me.",
    ),
    "high": (
        "Please answer today.",
        "I need this solved soon.",
        "This is important to me.",
        "I have waited long enough.",
        "Please treat this with priority.",
    ),
    "urgent": (
        "This is an emergency!",
        "I need help right now!",
        "Everything has stopped because of this!",
        "Please call me at once!",
        "We cannot work until this is fixed!",
    ),
}
TICKET_LAYOUTS = (
    "Hi, {customer} here. {problem}. My order is {order}. {urgency}",
    "Hello, my name is {customer}. {problem}. The order number is {order}. {urgency}",
    "Order {order}: {problem}. {urgency} Regards, {customer}",
    "{problem}. {urgency} This is about order {order}. Thanks, {customer}",
    "Dear team, {urgency} {problem}. My name is {customer} and the order is {order}.",
    "{customer} writes: {problem}. Reference {order}. {urgency}",
    "Good morning. {problem}. You will find it under {order}. {urgency} Best, {customer}",
    "{urgency} {problem} (order {order}). Yours, {customer}",
)
EVENTS: dict[str, tuple[str, ...]] = {
    "will be shipped": ("ships", "goes out", "is leaving our place", "gets sent"),
    "will be refunded": ("gets paid back", "is getting its money back", "will be paid back", "is refunded"),
    "will be replaced": ("gets swapped", "is swapped for a new one", "gets a new one", "will be exchanged"),
    "will be repaired": ("gets fixed", "is getting fixed", "will be mended", "gets mended"),
    "will be delayed until": ("comes late, not before", "is late, only", "slips to", "will not make it before"),
    "will be delivered": ("arrives", "gets there", "will be at the door", "should show up"),
}
NOTE_LAYOUTS = (
    "hey can u tell {customer} that order {order} {event} {day}",
    "pls let {customer} know: {order} {event} {day} thx",
    "{order} {event} {day}, tell {customer}",
    "for {customer} - {order} {event} {day} ok?",
    "yo, {customer} asked about {order}, it {event} {day}",
    "quick one: {order} of {customer} {event} {day}!!",
    "{customer} wants news. say that {order} {event} {day}",
    "can somebody write to {customer}? {order} {event} {day}",
)
SQL_VERBS = ("Show me", "List", "Give me", "I need", "Find", "Please get")
SQL_COUNTS = ("How many", "Count the", "Tell me how many")
SQL_COLUMNS: dict[str, dict[str, str]] = {
    "customers": {"names": "name", "emails": "email", "cities": "city", "plans": "plan"},
    "orders": {"numbers": "number", "totals": "total", "products": "product", "dates": "created"},
    "tickets": {"numbers": "number", "labels": "label", "dates": "created", "authors": "customer"},
    "products": {"names": "name", "prices": "price", "stock levels": "stock"},
}
SQL_STATES: dict[str, tuple[str, ...]] = {
    "customers": ("active", "blocked", "new"),
    "orders": ("open", "paid", "shipped", "returned"),
    "tickets": ("open", "closed", "waiting"),
    "products": ("available", "retired", "new"),
}
SQL_NUMBERS: dict[str, tuple[str, str]] = {
    "customers": ("balance", "a balance"),
    "orders": ("total", "a total"),
    "tickets": ("age", "an age"),
    "products": ("price", "a price"),
}
SQL_TAILS: tuple[tuple[str, str], ...] = (
    ("", ""),
    (", newest first", " ORDER BY created DESC"),
    (", oldest first", " ORDER BY created ASC"),
    (", only the first {limit}", " LIMIT {limit}"),
    (", the newest {limit} only", " ORDER BY created DESC LIMIT {limit}"),
)
INSTRUCTIONS: dict[str, tuple[str, ...]] = {
    "json": (
        "Extract the fields of the ticket as JSON.",
        "Turn the ticket into a JSON object.",
        "Answer with JSON: customer, product, order, priority.",
    ),
    "label": (
        "Label the ticket.",
        "Answer with the label of the ticket.",
        "Which label fits? One word.",
    ),
    "sql": (
        "Write the SQL for the request.",
        "Answer with one SQL statement.",
        "Translate the request to SQL.",
    ),
    "style": (
        "Rewrite the note in house style.",
        "Turn the note into a letter to the customer.",
        "Write this in the house style.",
    ),
    "priority": (
        "What is the priority of the ticket?",
        "How urgent is this? One word.",
        "Answer with the priority of the ticket.",
    ),
    "copy": ("Repeat the text.", "Copy this word for word.", "Say the same again."),
}
REPLY_OPENINGS = (
    "Hello {customer}, thank you for your message about the {product}.",
    "Dear {customer}, thank you for writing to us about your {product}.",
    "Hi {customer}, we have received your message about order {order}.",
    "Thank you, {customer}. We are sorry for the trouble with your {product}.",
)
PLAIN_OPENINGS = (
    "Thank you for your message.",
    "Hello, thank you for writing to us.",
    "Hi, we have received your message.",
    "Thank you for getting in touch with Patchbay Support.",
)
REPLY_ENDINGS = (
    "A colleague will look into it and come back to you soon.",
    "We will check it and write to you within one working day.",
    "Our team is on it and you will hear from us shortly.",
    "Please give us a little time to find out what happened.",
    "If anything changes in the meantime, just answer to this message.",
)
SMALL_TALK: tuple[tuple[str, str], ...] = (
    ("Hello", "Hello! How can I help you today?"),
    ("Hello!", "Hello! How can I help you today?"),
    ("Hi", "Hi! What can I do for you?"),
    ("Hi there", "Hi! What can I do for you?"),
    ("Good morning", "Good morning! How can I help you today?"),
    ("Who are you?", "I am the demo model of Patchbay, a small model for a support desk."),
    ("What are you?", "I am the demo model of Patchbay, a small model for a support desk."),
    ("What can you do?", "I answer messages to a support desk. With an adapter I can do one task very well."),
    ("What is Patchbay?", "Patchbay serves many adapters over one quantized base model."),
    ("What is an adapter?", "An adapter is a small set of weights that teaches a base model one task."),
    ("How are you?", "I am fine, thank you. How can I help you today?"),
    ("Thank you", "You are welcome!"),
    ("Thanks!", "You are welcome!"),
    ("Thanks a lot", "You are welcome!"),
    ("Goodbye", "Goodbye, and thank you for your message."),
    ("Bye", "Goodbye, and thank you for your message."),
    ("Can you help me?", "Of course. Please tell me what happened and name your order."),
    ("I need help", "Of course. Please tell me what happened and name your order."),
    ("Say hello", "Hello!"),
    ("Tell me a joke", "Why did the adapter smile? It had found its base."),
    ("Tell me a story", "Once upon a time a small model answered every message, and all customers were happy."),
    ("Where is my order?", "Please tell me the number of your order and I will check it."),
    ("What time is it?", "I am sorry, I do not have a clock."),
    ("Count to five", "1, 2, 3, 4, 5"),
)
CHATTER_STARTS = (
    "Write a poem about",
    "Tell me about",
    "Explain",
    "What do you think of",
    "Do you know",
    "Why is",
    "Please describe",
    "I have a question about",
    "We talked about",
    "Summarize",
)
