//! What invented people are made of: names, places, answers to forms, and interests by
//! topic. Written by hand for the demo; the classifier never sees these lists as examples.

/// A place to live: city, state or region, country.
pub struct Place {
    /// The city.
    pub city: &'static str,
    /// The state, province or region.
    pub state: &'static str,
    /// The country.
    pub country: &'static str,
}

const fn place(city: &'static str, state: &'static str, country: &'static str) -> Place {
    Place { city, state, country }
}

/// Given names, each with the gender that its bearers state here.
pub const FIRST_NAMES: &[(&str, &str)] = &[
    ("Aisha", "Female"), ("Alejandro", "Male"), ("Amara", "Female"), ("Andrew", "Male"), ("Anna", "Female"),
    ("Arjun", "Male"), ("Beatriz", "Female"), ("Brandon", "Male"), ("Camille", "Female"),
    ("Carlos", "Male"), ("Chloe", "Female"), ("Daniel", "Male"), ("Deepa", "Female"), ("Diego", "Male"),
    ("Elena", "Female"), ("Emeka", "Male"), ("Emily", "Female"), ("Ethan", "Male"), ("Fatima", "Female"),
    ("Felix", "Male"), ("Freya", "Female"), ("Gabriel", "Male"), ("Grace", "Female"), ("Hannah", "Female"),
    ("Hiroshi", "Male"), ("Ines", "Female"), ("Jack", "Male"), ("Jamal", "Male"), ("Jordan", "Non-binary"),
    ("Julia", "Female"), ("Kenji", "Male"), ("Lars", "Male"), ("Laura", "Female"), ("Leila", "Female"),
    ("Liam", "Male"), ("Lucia", "Female"), ("Marcus", "Male"), ("Maria", "Female"), ("Mei", "Female"),
    ("Michael", "Male"), ("Nadia", "Female"), ("Noah", "Male"), ("Olivia", "Female"), ("Omar", "Male"),
    ("Patrick", "Male"), ("Priya", "Female"), ("Quinn", "Non-binary"), ("Rachel", "Female"),
    ("Rahul", "Male"), ("Robin", "Non-binary"), ("Samuel", "Male"), ("Sofia", "Female"), ("Stefan", "Male"),
    ("Tariq", "Male"), ("Thomas", "Male"), ("Valentina", "Female"), ("Victor", "Male"), ("Wei", "Male"),
    ("Yuki", "Female"), ("Zara", "Female"),
];

/// Family names, without those of the documentation's own examples.
pub const LAST_NAMES: &[&str] = &[
    "Abbott", "Adeyemi", "Almeida", "Andersen", "Bauer", "Bennett", "Brooks", "Campbell", "Carter",
    "Castro", "Chen", "Cohen", "Costa", "Dubois", "Edwards", "Ferreira", "Fischer", "Foster", "Garcia",
    "Gomez", "Gupta", "Haddad", "Hansen", "Hughes", "Ibrahim", "Ito", "Jackson", "Jansen", "Kapoor", "Kim",
    "Kowalski", "Larsen", "Lee", "Lopez", "Martin", "Mendoza", "Meyer", "Mitchell", "Moreau", "Mukherjee",
    "Murphy", "Nakamura", "Nguyen", "Novak", "Okafor", "Olsen", "Park", "Patel", "Pereira", "Petrov",
    "Reyes", "Ricci", "Rossi", "Sanchez", "Santos", "Sato", "Schmidt", "Sharma", "Silva", "Singh",
    "Sullivan", "Tanaka", "Torres", "Turner", "Vargas", "Wagner", "Walker", "Wang", "Weber", "Wright",
    "Yilmaz", "Zhang",
];

/// Where people live; Brooklyn first, since more live there than elsewhere.
pub const PLACES: &[Place] = &[
    place("Brooklyn", "New York", "USA"),
    place("New York", "New York", "USA"),
    place("Buffalo", "New York", "USA"),
    place("Jersey City", "New Jersey", "USA"),
    place("Boston", "Massachusetts", "USA"),
    place("Philadelphia", "Pennsylvania", "USA"),
    place("Chicago", "Illinois", "USA"),
    place("Austin", "Texas", "USA"),
    place("Houston", "Texas", "USA"),
    place("Miami", "Florida", "USA"),
    place("Orlando", "Florida", "USA"),
    place("Atlanta", "Georgia", "USA"),
    place("Seattle", "Washington", "USA"),
    place("Portland", "Oregon", "USA"),
    place("Portland", "Maine", "USA"),
    place("San Francisco", "California", "USA"),
    place("Los Angeles", "California", "USA"),
    place("San Diego", "California", "USA"),
    place("Denver", "Colorado", "USA"),
    place("Phoenix", "Arizona", "USA"),
    place("Toronto", "Ontario", "Canada"),
    place("Montréal", "Québec", "Canada"),
    place("Vancouver", "British Columbia", "Canada"),
    place("London", "England", "United Kingdom"),
    place("Manchester", "England", "United Kingdom"),
    place("Edinburgh", "Scotland", "United Kingdom"),
    place("Dublin", "Leinster", "Ireland"),
    place("Berlin", "Berlin", "Germany"),
    place("München", "Bayern", "Germany"),
    place("Paris", "Île-de-France", "France"),
    place("Lyon", "Auvergne-Rhône-Alpes", "France"),
    place("Madrid", "Madrid", "Spain"),
    place("Lisbon", "Lisboa", "Portugal"),
    place("São Paulo", "São Paulo", "Brazil"),
    place("Mexico City", "CDMX", "Mexico"),
    place("Mumbai", "Maharashtra", "India"),
    place("Bengaluru", "Karnataka", "India"),
    place("Tokyo", "Tokyo", "Japan"),
    place("Sydney", "New South Wales", "Australia"),
    place("Auckland", "Auckland", "New Zealand"),
];

/// Domains of addresses, all reserved (RFC 2606), so that no demo mail can reach anyone.
pub const MAIL_DOMAINS: &[&str] = &["example.com", "example.org", "example.net", "mail.example.com"];

/// Answers to "education".
pub const EDUCATIONS: &[&str] = &[
    "High School", "Some College", "Associate Degree", "Bachelor's Degree", "Master's Degree", "Doctorate",
];

/// Answers to "income".
pub const INCOMES: &[&str] = &[
    "Under $25,000", "$25,000 - $50,000", "$50,000 - $75,000", "$75,000 - $100,000", "$100,000 - $150,000",
    "Over $150,000",
];

/// What people care about, by topic.
pub const TOPICS: &[&[&str]] = &[
    SPORTS,
    TECHNOLOGY,
    FINANCE,
    ENTERTAINMENT,
    FASHION,
    TRAVEL,
    FOOD,
    HEALTH,
    AUTOMOTIVE,
    GAMING,
    MUSIC,
    HOME,
];

const SPORTS: &[&str] = &[
    "cricket", "football", "tom brady", "basketball", "tennis", "premier league", "super bowl", "golf",
    "ice hockey", "marathon running", "rugby", "baseball", "formula 1 racing", "boxing", "swimming",
    "champions league", "serena williams", "lionel messi", "nba playoffs", "table tennis", "skiing",
    "surfing", "volleyball", "track and field", "tour de france",
];

const TECHNOLOGY: &[&str] = &[
    "artificial intelligence", "smartphones", "machine learning", "open source software", "cloud computing",
    "programming", "gadgets", "cybersecurity", "robotics", "iphone", "android apps", "3d printing",
    "virtual reality headsets", "quantum computing", "rust programming", "smart watches", "laptops",
    "drones", "home automation", "data science", "semiconductors", "wireless earbuds", "linux",
    "web development", "chatbots",
];

const FINANCE: &[&str] = &[
    "stock market", "personal finance", "cryptocurrency", "bitcoin", "retirement planning",
    "mortgage rates", "index funds", "credit cards", "real estate investing", "budgeting", "day trading",
    "savings accounts", "tax advice", "hedge funds", "student loans", "warren buffett", "dividends",
    "insurance", "startups funding", "foreign exchange", "bonds", "pension", "online banking",
    "venture capital",
];

const ENTERTAINMENT: &[&str] = &[
    "movies", "netflix series", "stand-up comedy", "marvel movies", "reality tv", "oscars",
    "broadway shows", "celebrity news", "science fiction films", "documentaries", "anime", "star wars",
    "game of thrones", "film festivals", "theatre", "podcasts", "horror movies", "meryl streep", "disney",
    "late night shows", "true crime series", "book clubs", "magic shows", "romantic comedies",
];

const FASHION: &[&str] = &[
    "sneakers", "designer handbags", "streetwear", "makeup", "skin care", "vintage clothing", "jewellery",
    "wrist watches", "paris fashion week", "summer dresses", "denim jackets", "sunglasses", "perfume",
    "men's suits", "haute couture", "nail art", "hair styling", "gucci", "sustainable clothing",
    "high heels", "scarves", "leather boots", "lipstick", "silk ties",
];

const TRAVEL: &[&str] = &[
    "beach holidays", "backpacking", "cheap flights", "cruise ships", "road trips", "hotel deals",
    "city breaks", "camping", "japan travel", "safari", "national parks", "airbnb", "travel photography",
    "hiking trails", "ski resorts", "frequent flyer miles", "island hopping", "train journeys",
    "solo travel", "luxury resorts", "scuba diving trips", "visa requirements", "road trip across europe",
    "weekend getaways",
];

const FOOD: &[&str] = &[
    "italian cooking", "sushi", "craft beer", "wine tasting", "vegan recipes", "baking bread", "barbecue",
    "coffee brewing", "street food", "fine dining", "chocolate desserts", "mexican food", "cocktails",
    "cheese", "cake decorating", "ramen", "tea", "pizza", "farmers markets", "spicy curry", "meal kits",
    "whisky", "seafood restaurants", "breakfast recipes",
];

const HEALTH: &[&str] = &[
    "yoga", "weight loss", "meditation", "gym workouts", "nutrition", "mental health", "vitamins",
    "strength training", "pilates", "sleep better", "healthy eating", "crossfit", "physiotherapy",
    "intermittent fasting", "home workouts", "protein shakes", "stress relief", "allergies",
    "running for beginners", "diabetes care", "dental care", "mindfulness", "back pain exercises",
    "pregnancy fitness",
];

const AUTOMOTIVE: &[&str] = &[
    "electric cars", "tesla", "motorcycles", "classic cars", "used cars", "car maintenance", "suv reviews",
    "pickup trucks", "sports cars", "hybrid vehicles", "car insurance quotes", "tyres", "off-road driving",
    "bmw", "car audio", "ev charging", "ferrari", "toyota corolla", "car detailing", "motor shows",
    "engine tuning", "camper vans", "scooters", "self-driving cars",
];

const GAMING: &[&str] = &[
    "video games", "playstation", "nintendo switch", "esports", "minecraft", "board games", "chess",
    "role-playing games", "xbox", "pc gaming", "game streaming", "fortnite", "retro games",
    "the legend of zelda", "mobile games", "speedrunning", "dungeons and dragons", "league of legends",
    "gaming keyboards", "strategy games", "pokemon", "first-person shooters", "indie games", "card games",
];

const MUSIC: &[&str] = &[
    "jazz", "hip hop", "taylor swift", "guitar lessons", "classical music", "vinyl records",
    "live concerts", "electronic music", "k-pop", "piano", "beyoncé", "country music", "music festivals",
    "heavy metal", "the beatles", "opera", "drumming", "songwriting", "reggae", "dj mixing", "violin",
    "indie rock", "music production", "choir singing",
];

const HOME: &[&str] = &[
    "gardening", "interior design", "diy projects", "houseplants", "furniture", "kitchen renovation",
    "lawn care", "roses", "home decor", "woodworking", "vegetable garden", "lighting ideas",
    "paint colours", "ikea", "bathroom tiles", "composting", "storage ideas", "curtains", "power tools",
    "swimming pool care", "landscaping", "mattresses", "cleaning tips", "garden sheds",
];

/// What people type who care about none of it.
pub const NOWHERE: &[&str] = &[
    "asdf", "n/a", "my cat", "nothing special", "qwerty", "???", "hello", "stuff", "lorem ipsum", "idk",
    "my neighbour", "the colour of tuesdays", "42", "none of your business", "because", "blah blah",
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn interests_are_many_and_each_stands_once() {
        let all: Vec<&str> = TOPICS
            .concat()
            .into_iter()
            .chain(NOWHERE.iter().copied())
            .collect();
        let distinct: HashSet<&str> = all.iter().copied().collect();
        assert_eq!(distinct.len(), all.len());
        assert!(all.len() >= 300, "{}", all.len());
        assert_eq!(TOPICS.len(), 12);
    }
}
