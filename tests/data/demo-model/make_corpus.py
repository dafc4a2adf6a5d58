#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Build the text corpus of the demonstration model.

Six domains: children's style stories, weather reports, recipes, arithmetic
word problems and C-like code are generated from the templates in this file;
the sixth is the King James Bible (public domain), read through the `bible`
program of the Debian packages bible-kjv and bible-kjv-text.

    python3 make_corpus.py --out build

writes build/train.jsonl (one {"domain", "text"} object per line, shuffled),
build/heldout.jsonl, build/heldout.txt and build/corpus/<domain>.txt.
Everything is derived from a fixed seed.
"""
import argparse
import json
import os
import random
import re
import subprocess

# --------------------------------------------------------------------------
# Template engine: {a|b|c} chooses one branch (nesting allowed), $name inserts
# a variable.  Articles and sentence capitals are repaired afterwards.
# --------------------------------------------------------------------------
_CACHE = {}


def _parse(text, pos=0, inner=False):
    branches, seq, buf = [], [], []

    def flush():
        if buf:
            seq.append("".join(buf))
            buf.clear()

    while pos < len(text):
        c = text[pos]
        if c == "{":
            flush()
            node, pos = _parse(text, pos + 1, True)
            seq.append(node)
        elif inner and c == "|":
            flush()
            branches.append(seq)
            seq = []
            pos += 1
        elif inner and c == "}":
            flush()
            branches.append(seq)
            return branches, pos + 1
        else:
            buf.append(c)
            pos += 1
    flush()
    if inner:
        raise ValueError("unclosed brace in template: " + text[:60])
    return seq, pos


def _expand(seq, rng, out):
    for item in seq:
        if isinstance(item, str):
            out.append(item)
        else:
            _expand(rng.choice(item), rng, out)


_VAR = re.compile(r"\$(\w+)")
_ART = re.compile(r"\b([Aa]) (?=[aeiouAEIOU])(?!(?:uni|use|one|Eur|eu))")
_CAP = re.compile(r"(^|[.!?] |\n)([a-z])")


def spin(rng, template, env):
    if template not in _CACHE:
        _CACHE[template] = _parse(template)[0]
    out = []
    _expand(_CACHE[template], rng, out)
    text = _VAR.sub(lambda m: str(env[m.group(1)]), "".join(out))
    text = re.sub(r"  +", " ", text)
    text = _ART.sub(r"\1n ", text)
    return _CAP.sub(lambda m: m.group(1) + m.group(2).upper(), text).strip()


# --------------------------------------------------------------------------
# Stories
# --------------------------------------------------------------------------
GIRLS = ("Lily Mia Anna Sara Emma Zoe Nina Rosie Ella Maya Lucy Kate Ruby Amy Tara Ivy Clara "
         "Molly Hanna Jane Daisy Olive Nora Leah Wendy Pia Zoë Renée Inès Chloé").split()
BOYS = ("Tom Ben Max Sam Jack Leo Tim Finn Noah Owen Peter Luke Oscar Theo Dan Eli Hugo Ravi "
        "Adam Omar Bobby Henry Felix Carl Jonas Kofi Milo José André Søren").split()
PETS = "dog cat rabbit puppy kitten hamster parrot pony duck turtle".split()
PETNAMES = "Spot Biscuit Fluffy Pepper Coco Bubbles Lucky Patch Shadow Honey Muffin Button".split()
ANIMALS = ("fox bear rabbit mouse owl frog squirrel hedgehog duck deer badger otter turtle crow "
           "beaver lizard goat hen pig sheep").split()
PLACES = ["the park", "the garden", "the forest", "the beach", "the school yard", "the old barn",
          "the river", "the meadow", "the market", "the playground", "the hill behind the house",
          "the library", "the farm", "the pond", "the train station"]
OBJECTS = ["ball", "kite", "doll", "toy car", "teddy bear", "book", "hat", "scarf", "drum",
           "toy boat", "puzzle", "bicycle", "whistle", "ring", "umbrella", "backpack", "necklace",
           "toy train", "paper plane", "red balloon", "wooden horse", "music box", "flashlight"]
COLORS = "red blue green yellow purple orange pink white brown silver golden".split()
SIZES = "small big tiny little shiny pretty soft old new round".split()
FOODS = ["apple", "cookie", "sandwich", "carrot", "banana", "piece of cake", "bowl of soup",
         "slice of bread", "pear", "muffin", "pancake", "peach"]
ADULTS = [("Mom", "f"), ("Dad", "m"), ("Grandma", "f"), ("Grandpa", "m"), ("Aunt May", "f"),
          ("Uncle Joe", "m"), ("Mrs. Green", "f"), ("Mr. Brown", "m"), ("the teacher", "f"),
          ("the baker", "m"), ("the farmer", "m"), ("the nurse", "f")]
WEATHER = ["sunny", "windy", "rainy", "cold", "warm", "cloudy", "snowy", "foggy"]
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
FEELS = "happy glad excited proud cheerful joyful".split()
SADS = "sad upset worried unhappy lonely scared".split()

OPEN = [
    "Once upon a time, there was a {little |young |kind |brave |curious |}{girl|child} named $n.",
    "One $wea {day|morning|afternoon}, $n {went|walked|ran} to $place.",
    "$n was a {kind|brave|curious|clever|shy|funny|quiet} $kid who {loved|liked} to {play|visit "
    "friends|look at animals|sing songs|help people|draw pictures|climb trees|read stories}.",
    "It was a $wea $day. $n {woke up early|got up late|put on $his shoes|looked out of the window} "
    "and felt $feel.",
    "In a {small|quiet|little|busy|pretty} {town|village|house near the sea|house on a hill}, "
    "there lived a $kid named $n.",
    "Long ago, in a {small|far|quiet} {village|valley|town}, a $kid called $n lived with $his "
    "{family|mother|father|grandmother|grandfather}.",
]
PETLINE = [
    "$He had a {$color |$size |}$pet named $pn{. $pn {followed|went with} $him everywhere|"
    " who was always hungry|, and they were best friends|}.",
    "$His $pet, $pn, {was sleeping by the door|wanted to come too|jumped up and down|ran ahead}.",
    "", "",
]
CLOSE = [
    "From that day on, $n {always|never forgot to} {remembered|share|say thank you}{.| and was $feel.}",
    "They {laughed|smiled|hugged} and {went home|walked home together|had a {big |warm |}{dinner|"
    "cup of cocoa|snack}} .",
    "$n {was very|felt so|was} $feel. It {was|had been} {the best|a good|a wonderful|a long} day.",
    "That night, $n {fell asleep with a smile|dreamed about $place|told $adult all about it|slept "
    "very well}.",
    "And they all lived happily ever after.",
    "The {two friends|friends} {played|sat|sang} together until {the sun went down|it was dark|"
    "it was time for dinner}.",
    "The end.",
]


def agree_close(rng, env):
    picks = rng.sample(CLOSE[:6], rng.choice([1, 1, 2]))
    text = " ".join(spin(rng, p, env) for p in picks)
    text = text.replace("always remembered", "always remembered the day").replace(
        "always share", "tried to share").replace("always say thank you", "said thank you to everyone")
    text = text.replace("never forgot to remembered", "remembered what $adult had said")
    text = text.replace("$adult", env["adult"]).replace(" .", ".")
    if rng.random() < 0.15:
        text += " The end."
    return text


PLOTS = {
    "lost": [
        "$n had a {$size |}$color $obj. $He {loved it very much|took it everywhere|had got it from "
        "$adult}.",
        "One day, the $obj {was gone|was not in {$his room|the box|its place}}. $n looked {under the "
        "bed|behind the door|in the garden|in the kitchen}, but $he could not find it. $He {felt "
        "$sad|began to cry|did not know what to do}.",
        "\"{What is wrong|Why are you $sad|What happened}, $n?\" asked $friend. \"I {lost|can not "
        "find} my $obj,\" said $n. \"{Don't worry|Do not cry}! {I will help you|We can look for it "
        "together|Let's look at $place},\" $friend said.",
        "They {looked and looked|searched everywhere|asked $adult}. {At last|Then|After a long time}, "
        "$friend saw something $color {under a {bush|bench|big tree}|behind a rock|in the tall "
        "grass|near the water}. It was the $obj!",
        "\"{Thank you|You found it}!\" {cried|said|shouted} $n. {$He gave $friend a big hug.|\"You are "
        "a {good|true|great} friend.\"|$He jumped for joy.}",
    ],
    "share": [
        "$n {got|had|found} a {new|$color|$size} $obj and {took|brought} it to $place.",
        "$friend {came|ran} to $him and {said|asked}, \"{Can I play with your $obj|May I have a turn|"
        "Can we play together}?\" {But $n|$n} {did not want to share|held the $obj tight|said no}. "
        "\"It is mine,\" $he said. $friend {walked away|felt $sad|looked down}.",
        "{Soon|After a while}, $n {felt $sad too|was bored|saw that playing alone was no fun}. $He "
        "{thought about $friend|remembered what $adult had said: \"It is good to share.\"|looked at "
        "the $obj and thought hard}.",
        "$n {went|ran} to $friend and said, \"{I am sorry|Sorry}. {You can play with my $obj|Let's play "
        "with it together|Here, it is your turn}.\" $friend {smiled|was $feel|clapped}.",
        "They {played with the $obj|took turns|made up a new game} {all day|until the sun went down|"
        "and laughed a lot}. $n learned that {sharing is fun|it is better to share|a friend is worth "
        "more than a $obj}.",
    ],
    "rescue": [
        "At $place, $n heard a {small|strange|sad|soft} {sound|cry|voice}. {It came from {a deep "
        "hole|behind a tree|under the bridge|the tall grass}.|\"What is that?\" $he said.}",
        "$He {looked closer|walked slowly|went to see} and saw a {little|baby|tiny} $animal. {Its leg "
        "was {hurt|stuck}|It was {stuck in the mud|lost|very cold|shaking with fear}}.",
        "\"{Do not be afraid|Poor little $animal|I will help you},\" {said|whispered} $n. $He {got "
        "some {water|food|help}|called $adult|used a long stick|put $his {coat|scarf} around it}.",
        "{Together|Slowly|Very carefully}, they {pulled it out|carried it home|made it a warm bed}. "
        "The $animal {ate a $food|drank some water|closed its eyes and slept}. {After a few days|The "
        "next morning|Soon}, it {could walk again|was strong and well|felt much better}.",
        "$n {opened the door|took it back to $place} and {let it go|said goodbye}. The $animal {looked "
        "back once|made a happy sound|waved its tail} and {ran|went} home to its {mother|family}.",
    ],
    "fear": [
        "$n was {afraid|scared} of {the dark|deep water|loud thunder|high places|big dogs}. {All the "
        "other children {laughed|were not afraid}.|$He did not tell anyone.|$He always stayed close to "
        "$adult.}",
        "One {night|evening|$wea day}, {the lights went out|there was a big storm|$friend called for "
        "help|$pn ran away into the dark}. $n {started to shake|hid under the blanket|wanted to run "
        "away}.",
        "{$adult sat down next to $him|$friend took $his hand}. \"{Everyone is afraid sometimes|Being "
        "brave does not mean you are never afraid|Take a deep breath},\" $adult said. \"{Try one "
        "small step|I am here with you|Count to ten with me}.\"",
        "$n {took a deep breath|counted to ten|held on tight}. {One step, then two, then three.|It was "
        "hard, but $he tried again.} {It was not so bad after all!|$He did it!|Nothing bad happened.}",
        "\"{Look at me|I did it|I am not scared anymore}!\" {shouted|said|laughed} $n. {Everyone "
        "clapped|$adult was very proud|$friend cheered}. Now $n knows that {$he can be brave|being "
        "brave means trying|even small people can do big things}.",
    ],
    "baking": [
        "$n wanted to {bake|make} {a cake|cookies|a pie|bread|pancakes} for {$adult|$friend's birthday|"
        "the school party}. $He {put on an apron|washed $his hands|opened the big cook book}.",
        "First, $he {mixed|put} {the flour and the eggs|butter and sugar|milk and honey} in a {big|blue|"
        "large} bowl. Then $he {stirred and stirred|added some {nuts|berries|chocolate|apples}}.",
        "{Oh no|Oops}! {The bowl fell on the floor|$pn jumped on the table|There was flour everywhere|"
        "$n used salt and not sugar}. $n {looked at the mess|felt $sad|almost cried}.",
        "\"{That is all right|Never mind|It happens to everyone},\" said $adult. \"{Let's clean up and "
        "try again|We can make a new one|I will show you how}.\" They {worked|cleaned|laughed} "
        "together, and {soon|before long} the {house|kitchen} smelled {sweet|wonderful|good}.",
        "When it was {done|ready}, they {ate it with milk|gave some to $friend|shared it with the "
        "neighbors}. \"{Yum|Mmm|Delicious}!\" said {everyone|$friend|$adult}. $n was $feel.",
    ],
    "honest": [
        "$n was playing with {a ball|$pn|a $obj} in the {house|kitchen|living room}. {\"Do not run in "
        "the house,\" $adult had said.|$He was having so much fun.}",
        "{Crash|Bang|Boom}! The {blue vase|big lamp|window|flower pot|best plate} {fell|broke} {into "
        "many pieces|on the floor}. $n {was {afraid|shocked}|did not move|wanted to hide}.",
        "$adult came in. \"{Who did this|What happened here|Did you see who broke it}?\" {$n looked at "
        "$pn.|$n wanted to say that the wind did it.|$n was quiet for a long time.}",
        "\"It was me,\" $n said {at last|in a small voice|with tears in $his eyes}. \"{I am sorry|I did "
        "not mean to|I broke it}.\" $adult {was not angry|gave $him a hug|sat down beside $him}. "
        "\"{Thank you for telling the truth|I am glad you were honest|A broken thing can be fixed},\" "
        "said $adult.",
        "They {picked up the pieces|swept the floor|glued it back together}. $n {promised to be more "
        "careful|helped with all the work|felt light again}. {Telling the truth is not easy, but it is "
        "always best.|$n was glad that $he had told the truth.}",
    ],
    "build": [
        "$n and $friend wanted to {build|make} a {tower|kite|tree house|boat|snowman|sand castle|"
        "bridge} at $place. They {found|took|brought} {some wood|paper and string|big stones|a bucket "
        "and a shovel|old boxes}.",
        "They {worked|tried} {all morning|for an hour|very hard}. But {the wind blew it down|it fell "
        "over|it was too {heavy|small|weak}|it broke in the middle}. \"{It will never work|This is too "
        "hard|I give up},\" said $friend.",
        "\"{No, let's try again|We can do it|I have an idea},\" said $n. \"{We need {a stronger base|more "
        "string|longer sticks}|We should ask $adult|We can do it step by step}.\"",
        "{So they|The two friends} {started over|tried a new way|asked $adult for help}. {This time|Now} "
        "$n {held it|did the top} and $friend {tied the knots|did the bottom}. {One piece, two pieces, "
        "three pieces.|It took a long time.}",
        "{At last|Finally}, {it was done|it stood tall|it worked}! {\"We did it!\" they shouted.|They "
        "danced around it.|Everyone came to see it.} {They learned that you should never give up.|"
        "Working together made it {easy|fun}.}",
    ],
    "mystery": [
        "{While playing|While digging|While walking} at $place, $n found a {strange|small|rusty|$color} "
        "{key|box|map|bottle}. {It was half in the sand.|There was a letter on it.|It {was very old|"
        "looked like magic}.}",
        "\"{What could it be?|Where does it come from?|I wonder what this is for,}\" {thought|said} $n. "
        "$He {showed it to $friend|put it in $his pocket|ran to ask $adult}. {Nobody knew.|\"Maybe it "
        "is a treasure,\" said $friend.|\"Let's find out,\" said $adult.}",
        "They {walked|followed the path} {past the old mill|over the bridge|through the trees|up the "
        "hill} and came to {a little door|an old chest|a tall tree with a hole|a cave}. {It was dark "
        "inside.|Their hearts were beating fast.}",
        "{Slowly|Carefully}, $n {opened it|looked inside|reached in}. There was {a $color $obj|a bag of "
        "{coins|shells|seeds}|an old picture of $adult|a nest with a sleeping $animal}! {\"Wow!\" they "
        "said.|They could not believe it.}",
        "$n {took it home|gave it to $adult|left it there for others to find|shared it with $friend}. "
        "{It was their secret.|They told the story again and again.|After that, $n looked for treasures "
        "every day.}",
    ],
    "newkid": [
        "There was a new {boy|girl|child} at school. {The new child|The new one} {sat alone|did not "
        "talk|looked at the floor|was very quiet}. {The other children {did not notice|played without "
        "looking up}.|Nobody said hello.}",
        "$n {saw this|thought about it} and {remembered $his own first day|felt $sad for the new child}. "
        "$He {took a $food|picked up a ball|put down $his $obj} and walked over.",
        "\"{Hello|Hi}! My name is $n. {What is your name|Do you want to play|Would you like some of my "
        "$food}?\" \"{I am|My name is} $friend,\" said the new child {softly|with a small smile}.",
        "They {talked about {animals|books|games|the stars}|played {ball|tag|hide and seek}|drew a picture "
        "together} {at lunch|after class|all day}. $friend {was not shy anymore|laughed out loud|knew many "
        "funny stories}.",
        "{The next day|Soon}, {all the children wanted to play with them|$friend had many friends|they "
        "sat next to each other}. A {kind word|smile|little hello} can {change a day|make a new friend|do "
        "great things}.",
    ],
    "garden": [
        "$adult gave $n {a tiny seed|three small seeds|a bag of seeds}. \"{Plant it and wait|Take good care "
        "of it|Water it every day},\" $adult said. $n {dug a hole|put it in the soft ground|found a sunny "
        "spot}.",
        "Every day, $n {gave it water|looked at the ground|sang to it}. {Monday came, and nothing happened. "
        "Tuesday came, and nothing happened.|Nothing happened for a long time.} \"{When will it grow|Is it "
        "broken|Why is it so slow}?\" asked $n.",
        "\"{Good things take time|Be patient|Wait a little longer},\" said $adult. {So $n waited.|It rained, "
        "and the sun came out again.|$friend came to look, too.}",
        "{Then one morning|One $wea day|At last}, there was {a green leaf|a little plant|something green}! It "
        "grew {bigger and bigger|taller than $n|up to the window}. {Soon it had {$color flowers|{red|yellow} "
        "fruit|many leaves}.}",
        "$n {picked a flower for $adult|shared the fruit with $friend|was so $feel that $he danced}. {$He "
        "learned to be patient.|\"You were right,\" $he said. \"It was worth the wait.\"|Next year, $he will "
        "plant even more.}",
    ],
    "race": [
        "{One day|Once}, the animals of the forest had a {race|contest|singing contest|big race}. The "
        "{fast|proud|loud} $animal said, \"{I will win|Nobody is better than me|You are all too slow}.\" The "
        "little $animal2 {said nothing|only smiled|just wanted to try}.",
        "{Ready, set, go!|\"Go!\" called the old owl.|The drum went boom, and they started.} The $animal "
        "{ran far ahead|did not look back|laughed at the others}. The $animal2 {went slowly|kept going|took "
        "one step at a time}.",
        "{Halfway|After a while}, the $animal {stopped to {sleep|eat|rest}|fell into a hole|got stuck in the "
        "mud}. {\"I have lots of time,\" it said.|\"Help!\" it cried.}",
        "The $animal2 {came by|saw it} and {stopped to help|pulled it out|walked past quietly}. \"{Thank you,|"
        "Why are you so kind?}\" said the $animal. \"{Friends help each other|Winning is not everything|"
        "It does not matter who is first},\" said the $animal2.",
        "{They crossed the line together.|The $animal2 won, and everyone cheered.|In the end, both got a "
        "prize.} The $animal {learned not to be so proud|said sorry to everyone|was a better friend after "
        "that}.",
    ],
    "greedy": [
        "A {greedy|hungry|selfish} $animal lived {near|by|not far from} $place. It had {a big pile of nuts|"
        "a basket of apples|a pot of honey|ten loaves of bread}, but it {never shared|wanted more|always "
        "hid its food}.",
        "One {cold|$wea} day, a $animal2 {knocked at the door|came by}. \"{Please, I am so hungry,|May I have "
        "{a|one} little bite?}\" it {said|asked}. \"{Go away|No|It is all mine},\" said the $animal.",
        "That night, {a storm came|it rained hard|the wind was strong}, and {the food was washed away|a tree "
        "fell on the house|the roof broke}. The $animal {sat in the rain|had nothing left|began to cry}.",
        "The $animal2 {found it|came back} and said, \"{Come to my home|You can stay with us|I have a little "
        "soup, and we can share it}.\" The $animal {could not believe it|was ashamed|felt very sorry}. \"{Why "
        "do you help me|I was so mean to you},\" it said.",
        "\"{Because {you need it|it is right}|Everyone needs a friend},\" said the $animal2. {From then on|After "
        "that}, the $animal {shared everything|gave food to all|was never greedy again}.",
    ],
    "trip": [
        "$n and $adult {went on|took} a {trip|long walk|train ride|bus ride} to {the sea|the zoo|the city|the "
        "mountains|a farm|the museum}. {They packed {sandwiches|apples|a big lunch}.|\"Do not forget your "
        "{hat|umbrella|coat},\" said $adult.}",
        "On the way, they saw {cows in a field|a $color bridge|tall houses|three birds on a wire|a man with "
        "a drum|a long train}. {\"How far is it?\" asked $n again and again.|$n counted the trees: one, two, "
        "three, four, five.}",
        "When they {got there|arrived}, $n {ran|jumped|looked around}. \"{Look|See}! {A|There is a} {$size|"
        "$color} {boat|bird|fish|tower|flower|lion|statue}!\" $he {said|shouted|cried}.",
        "They {ate|bought} {ice cream|lunch on the grass|a hot soup} and {took a picture|sat in the sun|"
        "watched the waves|fed the ducks}. {But then $n could not see $adult.|Then it began to rain.|Then a "
        "gull took the {bread|sandwich}.} {\"Stay calm,\" $he said to $himself.|They laughed about it.|$n "
        "stayed where $he was, and soon everything was fine.}",
        "{On the way home|In the evening}, $n was {tired|sleepy} but $feel. \"{Can we come again?|Thank you for "
        "this day,|What was the best part?}\" {said|asked} {$n|$adult}.",
    ],
    "sick": [
        "$friend was {sick|ill|in bed with a cold}. {There was no one to play with.|$n {missed $friend|was "
        "$sad about it}.}",
        "\"{How can I help|What can I do|Can I visit}?\" $n asked $adult. \"{Make something nice|Draw a card|"
        "Bring some soup},\" said $adult.",
        "So $n {drew|made|painted} {a card with a $color {bird|flower|boat|house}|a big picture of $place|a "
        "funny paper $animal}. $He also took a $food and {a $color flower|$his best book|$his $obj}.",
        "$n {knocked|went in quietly}. \"{How are you|Surprise|I brought you something},\" $he said. $friend "
        "{sat up|smiled|laughed for the first time in days}. \"{You came|This is for me|I feel better "
        "already}!\"",
        "{A few days later|The next week|Soon}, $friend was {well|strong|healthy} again. {They {ran|played} in "
        "$place like before.|\"Now I will help you when you are sick,\" said $friend.}",
    ],
    "dream": [
        "{That night|One night|At bedtime}, $n {could not sleep|looked at the moon|lay in bed}. {The stars "
        "were bright.|The house was quiet.|The wind sang softly.}",
        "{Suddenly|All at once}, {a $color $animal|a little star|a tiny $kid with wings} {came to the window|"
        "sat on the bed|said $his name}. \"{Come with me,|Do you want to fly?|I need your help,}\" it said.",
        "They flew {over the roofs|above the sea|through the clouds|to the moon}. {Everything looked so "
        "small.|The air was {cold|fresh|sweet}.|$n {saw a city of {glass|gold|ice}|met a king who was very "
        "{small|sad|old}}.}",
        "\"{The moon has lost its light|A dragon took our songs|We can not find the way home},\" said the "
        "{$animal|king|little voice}. $n {thought hard|had an idea|was not afraid}. $He {sang a song|gave it "
        "$his $obj|told a funny story}, and {the light came back|everyone laughed|the dragon smiled}.",
        "{When the sun came up|In the morning}, $n {woke up|opened $his eyes}. {Was it a dream?|It was only a "
        "dream.} But {on the pillow|in $his hand} there was {a $color feather|a tiny star|a bit of gold dust}.",
    ],
}
ANIMAL_PLOTS = {"race", "greedy"}


def story(rng):
    girl = rng.random() < 0.5
    name, friend = rng.choice(GIRLS if girl else BOYS), rng.choice(GIRLS + BOYS)
    while friend == name:
        friend = rng.choice(GIRLS + BOYS)
    a1, a2 = rng.sample(ANIMALS, 2)
    env = {
        "n": name, "friend": friend, "he": "she" if girl else "he", "He": "She" if girl else "He",
        "his": "her" if girl else "his", "His": "Her" if girl else "His",
        "him": "her" if girl else "him", "himself": "herself" if girl else "himself",
        "kid": "girl" if girl else "boy", "pet": rng.choice(PETS), "pn": rng.choice(PETNAMES),
        "animal": a1, "animal2": a2, "place": rng.choice(PLACES), "obj": rng.choice(OBJECTS),
        "color": rng.choice(COLORS), "size": rng.choice(SIZES), "food": rng.choice(FOODS),
        "adult": rng.choice(ADULTS)[0], "wea": rng.choice(WEATHER), "day": rng.choice(DAYS),
        "feel": rng.choice(FEELS), "sad": rng.choice(SADS),
    }
    plot = rng.choice(sorted(PLOTS))
    parts = []
    if plot not in ANIMAL_PLOTS:
        parts.append(spin(rng, rng.choice(OPEN), env).replace("girl named", env["kid"] + " named"))
        if plot in ("fear", "baking", "honest"):
            parts.append(spin(rng, PETLINE[0], env))
        else:
            parts.append(spin(rng, rng.choice(PETLINE), env))
    parts += [spin(rng, s, env) for s in PLOTS[plot]]
    if plot not in ANIMAL_PLOTS:
        parts.append(agree_close(rng, env))
    elif rng.random() < 0.4:
        parts.append("The end.")
    parts = [p for p in parts if p]
    if rng.random() < 0.6:
        cut = rng.randint(2, len(parts) - 2)
        return " ".join(parts[:cut]) + "\n" + " ".join(parts[cut:])
    return " ".join(parts)


# --------------------------------------------------------------------------
# Weather reports
# --------------------------------------------------------------------------
REGIONS = ["the north coast", "the eastern valleys", "the southern hills", "the western islands",
           "the central plains", "the lake district", "the high mountains", "the river delta",
           "the capital", "the harbour towns", "São Miguel", "Zürich", "Malmö", "Córdoba", "Tromsø"]
SKIES = ["clear skies", "a few clouds", "thick cloud", "light rain", "heavy rain", "scattered showers",
         "morning fog", "strong sunshine", "snow", "sleet", "thunderstorms", "drizzle"]
WINDS = ["light", "moderate", "fresh", "strong", "gusty", "calm"]
DIRS = ["north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west"]


def weather(rng):
    base = rng.randint(-8, 30)
    lines = [spin(rng, "{Weather report|Forecast|Weather bulletin} for $d, {issued at $h:00|morning "
                  "edition|evening edition}.", {"d": rng.choice(DAYS), "h": rng.randint(5, 21)})]
    for reg in rng.sample(REGIONS, rng.randint(2, 4)):
        lo = base + rng.randint(-4, 2)
        hi = lo + rng.randint(2, 9)
        env = {"r": reg, "sky": rng.choice(SKIES), "sky2": rng.choice(SKIES), "lo": lo, "hi": hi,
               "w": rng.choice(WINDS), "dir": rng.choice(DIRS), "sp": rng.randrange(5, 80, 5),
               "hum": rng.randint(30, 98), "hp": rng.randint(985, 1035), "p": rng.randrange(0, 101, 10)}
        lines.append(spin(rng, rng.choice([
            "In $r, expect $sky {in the morning|at first|overnight} and $sky2 {later|in the afternoon|by "
            "evening}. Temperatures between $lo and $hi °C. Wind $w from the $dir at $sp km/h.",
            "$r: $sky, {turning to|followed by|then} $sky2. High $hi °C, low $lo °C. Humidity $hum "
            "percent, pressure $hp hPa.",
            "Over $r there will be $sky. The chance of rain is $p percent. {Winds|Breezes} from the $dir, "
            "$w, up to $sp km/h. {Maximum|Highest} temperature $hi °C.",
        ]), env))
    if rng.random() < 0.6:
        lines.append(spin(rng, "{Outlook|Tomorrow}: {$s with {rising|falling|steady} pressure|little change|"
                          "{warmer|colder} with $s}. {Sea state {smooth|slight|moderate|rough}.|Drivers "
                          "should take care on icy roads.|Small boats should stay in harbour.|Sunrise at "
                          "6:$m, sunset at 19:$m.|}", {"s": rng.choice(SKIES), "m": rng.randint(10, 59)}))
    return "\n".join(lines) if rng.random() < 0.5 else " ".join(lines)


# --------------------------------------------------------------------------
# Recipes
# --------------------------------------------------------------------------
DISHES = {
    "soup": (["onion", "carrots", "potatoes", "celery", "leek", "lentils", "beans", "tomatoes", "cabbage"],
             ["Peel and chop the $a.", "Heat the oil in a large pot and fry the $a {gently|until golden|for $m "
              "minutes}.", "Add the $b and stir well.", "Pour in $l ml of {hot water|stock} and bring to the "
              "boil.", "Simmer for $t minutes until the $c {is|are} soft.", "Season with salt and pepper and "
              "serve {hot|with bread|with a spoon of cream}."]),
    "cake": (["flour", "sugar", "butter", "eggs", "milk", "cocoa", "ground almonds", "honey", "yoghurt"],
             ["Heat the oven to $o °C and grease a {round|square} tin.", "Beat the $a and the $b together until "
              "{smooth|light|pale}.", "Fold in the $c {a little at a time|with a pinch of salt}.", "Pour the "
              "mixture into the tin and bake for $t minutes.", "Check with a {skewer|small knife}; it should "
              "come out clean.", "Leave to cool before {cutting|slicing|dusting with sugar}."]),
    "salad": (["lettuce", "cucumber", "tomatoes", "red onion", "olives", "feta", "beans", "radishes", "corn"],
              ["Wash and {slice|chop} the $a.", "Mix the $b and the $c in a {large|wooden} bowl.", "Whisk oil, "
               "lemon juice, salt and pepper for the dressing.", "Pour the dressing over the salad and toss "
               "{well|gently}.", "Chill for $m minutes and serve."]),
    "bread": (["flour", "yeast", "water", "salt", "oil", "rye flour", "sunflower seeds", "oats", "honey"],
              ["Stir the $a and the $b together in a bowl.", "Add the $c and knead for $m minutes until the "
               "dough is {smooth|elastic}.", "Cover and leave to rise for {one hour|$t minutes}.", "Shape into "
               "a {loaf|ball|long roll} and place on a tray.", "Bake at $o °C for $t minutes until the crust "
               "is {brown|golden}.", "Cool on a rack."]),
    "pasta": (["pasta", "garlic", "tomatoes", "basil", "mushrooms", "cream", "spinach", "cheese", "olive oil"],
              ["Cook the pasta in salted water for $m minutes.", "Meanwhile, fry the $a with the $b.", "Add the "
               "$c and cook over low heat for $m minutes.", "Drain the pasta and mix it with the sauce.", "Top "
               "with grated cheese and {basil|black pepper|parsley}."]),
}
UNITS = ["g", "ml", "cups", "spoons", "½ cup", "¼ cup"]


def recipe(rng):
    kind = rng.choice(sorted(DISHES))
    ingredients, steps = DISHES[kind]
    chosen = rng.sample(ingredients, rng.randint(3, 6))
    env = {"a": chosen[0], "b": chosen[1], "c": chosen[2], "l": rng.randrange(400, 1600, 100),
           "m": rng.randint(3, 15), "t": rng.randrange(15, 65, 5), "o": rng.randrange(160, 240, 10)}
    lines = [spin(rng, "Recipe: {Simple|Quick|Grandma's|Country|Winter|Summer|Crème|Sunday} $a $k",
                  {"a": chosen[0], "k": kind}),
             "Serves %d." % rng.randint(1, 8), "Ingredients:"]
    for item in chosen:
        unit = rng.choice(UNITS)
        if unit == "g" or unit == "ml":
            amount = "%d %s" % (rng.randrange(50, 600, 50), unit)
        elif unit[0] in "½¼":
            amount = unit
        else:
            amount = "%d %s" % (rng.randint(2, 5), unit)
        lines.append("- %s %s" % (amount, item))
    lines.append("Method:")
    for i, step in enumerate(steps):
        lines.append("%d. %s" % (i + 1, spin(rng, step, env)))
    return "\n".join(lines)


# --------------------------------------------------------------------------
# Arithmetic
# --------------------------------------------------------------------------
THINGS = ["apples", "pencils", "marbles", "books", "coins", "eggs", "stamps", "shells", "cards", "flowers"]


def arithmetic(rng):
    lines = []
    for _ in range(rng.randint(2, 5)):
        kind = rng.randrange(5)
        name, other = rng.sample(GIRLS + BOYS, 2)
        thing = rng.choice(THINGS)
        if kind == 0:
            a, b = rng.randint(1, 60), rng.randint(1, 39)
            lines.append(spin(rng, "Question: {$n has $a $t and gets $b more|$n had $a $t. $o gave $n $b more "
                              "$t}. How many $t {does $n have now|are there in all}?\nAnswer: $a + $b = $c. "
                              "$n has $c $t.", {"n": name, "o": other, "t": thing, "a": a, "b": b, "c": a + b}))
        elif kind == 1:
            a = rng.randint(5, 99)
            b = rng.randint(1, a - 1)
            lines.append(spin(rng, "Question: {There were $a $t in a box, and $n took $b of them|$n had $a $t "
                              "and gave $b to $o}. How many $t are left?\nAnswer: $a - $b = $c. There are $c $t "
                              "left.", {"n": name, "o": other, "t": thing, "a": a, "b": b, "c": a - b}))
        elif kind == 2:
            a, b = rng.randint(2, 12), rng.randint(2, 12)
            lines.append(spin(rng, "Question: {There are $a boxes with $b $t each|$n buys $a bags, and each bag "
                              "has $b $t}. How many $t is that?\nAnswer: $a * $b = $c. That is $c $t.",
                              {"n": name, "t": thing, "a": a, "b": b, "c": a * b}))
        elif kind == 3:
            b, c = rng.randint(2, 12), rng.randint(2, 12)
            lines.append(spin(rng, "Question: {$n shares $a $t among $b friends|$a $t are put into $b equal "
                              "rows}. How many $t {are in each part|does each one get}?\nAnswer: $a / $b = $c. "
                              "Each gets $c.", {"n": name, "t": thing, "a": b * c, "b": b, "c": c}))
        else:
            a, b = rng.randint(1, 50), rng.randint(1, 49)
            lines.append("Compute: %d + %d = %d; %d - %d = %d; %d * 2 = %d." % (
                a, b, a + b, a + b, a, b, a, 2 * a))
    return "\n".join(lines)


# --------------------------------------------------------------------------
# C-like code
# --------------------------------------------------------------------------
VARS = "count total sum index value size length offset limit score width height depth result".split()
ARRS = "data items values buffer table list cells weights nodes keys".split()
VERBS = "compute update find check count copy reset print read scale clamp merge".split()
NOUNS = "total average maximum minimum length checksum item node record matrix buffer index".split()
TYPES = ["int", "long", "float", "double", "unsigned int", "size_t"]


def code(rng):
    parts = []
    if rng.random() < 0.4:
        parts.append("".join("#include <%s.h>\n" % h for h in rng.sample(
            ["stdio", "stdlib", "string", "math", "stdint"], rng.randint(1, 3))))
    for _ in range(rng.randint(1, 2)):
        t, acc, arr = rng.choice(TYPES), rng.choice(VARS), rng.choice(ARRS)
        fn = rng.choice(VERBS) + "_" + rng.choice(NOUNS)
        i, k = rng.choice("ijk"), rng.choice([2, 3, 4, 8, 10, 16, 100, 255, 1024])
        op, cmp_ = rng.choice(["+=", "*=", "-=", "+="]), rng.choice(["<", ">", "<=", ">=", "==", "!="])
        kind = rng.randrange(6)
        if rng.random() < 0.5:
            parts.append("/* %s the %s of %s. */" % (fn.split("_")[0].capitalize(), fn.split("_")[1], arr))
        if kind == 0:
            parts.append(f"{t} {fn}(const {t} *{arr}, int n)\n{{\n    {t} {acc} = 0;\n    for (int {i} = 0; {i} < n; "
                         f"{i}++) {{\n        {acc} {op} {arr}[{i}];\n    }}\n    return {acc};\n}}")
        elif kind == 1:
            parts.append(f"{t} {fn}({t} {acc})\n{{\n    if ({acc} {cmp_} {k}) {{\n        return {acc} - {k};\n    }}\n"
                         f"    return {acc} * 2;\n}}")
        elif kind == 2:
            name = rng.choice(NOUNS)
            parts.append(f"struct {name} {{\n    {t} {acc};\n    struct {name} *next;\n}};\n\nint {fn}(struct {name} "
                         f"*head)\n{{\n    int n = 0;\n    while (head != NULL) {{\n        n++;\n        head = "
                         f"head->next;\n    }}\n    return n;\n}}")
        elif kind == 3:
            parts.append(f"void {fn}({t} *{arr}, int n)\n{{\n    for (int {i} = 0; {i} < n; {i}++) {{\n        if "
                         f"({arr}[{i}] {cmp_} {k}) {{\n            {arr}[{i}] = {k};\n        }}\n    }}\n}}")
        elif kind == 4:
            parts.append(f"static {t} {arr}[{k}];\n\nint main(void)\n{{\n    {t} {acc} = {rng.randint(0, 9)};\n    for "
                         f"(int {i} = 0; {i} < {k}; {i}++) {{\n        {arr}[{i}] = {i} * {rng.randint(2, 9)};\n    }}\n"
                         f"    printf(\"{acc} = %d\\n\", (int){acc});\n    return 0;\n}}")
        else:
            parts.append(f"{t} *{fn}(int n)\n{{\n    {t} *{arr} = malloc(n * sizeof({t}));\n    if ({arr} == NULL) {{\n"
                         f"        return NULL;\n    }}\n    memset({arr}, 0, n * sizeof({t}));\n    return {arr};\n}}")
    return "\n".join(parts)


# --------------------------------------------------------------------------
# King James Bible: one document per chapter, one verse per line
# --------------------------------------------------------------------------
def bible():
    raw = subprocess.run(["bible", "-f", "Genesis 1:1-Revelation 22:21"], check=True,
                         stdout=subprocess.PIPE).stdout.decode("ascii", "replace")
    chapters, current, verses = [], None, []
    for line in raw.splitlines():
        m = re.match(r"(\S+?)(\d+):(\d+) (.*)", line)
        if not m:
            continue
        ref = (m.group(1), m.group(2))
        if ref != current and verses:
            chapters.append("\n".join(verses))
            verses = []
        current = ref
        verses.append(m.group(4).strip())
    if verses:
        chapters.append("\n".join(verses))
    return chapters


GENERATORS = {"stories": story, "weather": weather, "recipes": recipe, "arithmetic": arithmetic, "code": code}
SIZES_TRAIN = {"stories": 13_000_000, "weather": 1_800_000, "recipes": 1_800_000, "arithmetic": 1_300_000,
               "code": 1_500_000}
SIZES_HELD = {"stories": 24_000, "weather": 6_000, "recipes": 6_000, "arithmetic": 4_000, "code": 5_000,
              "kjv": 11_000}
SIZES_TRACE = {"stories": 110_000, "weather": 35_000, "recipes": 35_000, "arithmetic": 25_000, "code": 30_000,
               "kjv": 65_000}


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--out", default="build")
    ap.add_argument("--seed", type=int, default=20240611)
    args = ap.parse_args()
    os.makedirs(os.path.join(args.out, "corpus"), exist_ok=True)
    held, trace, train, seen = [], {}, [], set()

    def fresh(gen, rng, size):
        docs, total = [], 0
        while total < size:
            text = gen(rng)
            if text in seen:
                continue
            seen.add(text)
            docs.append(text)
            total += len(text.encode()) + 2
        return docs

    for dom in sorted(GENERATORS):
        gen = GENERATORS[dom]
        held += [(dom, d) for d in fresh(gen, random.Random("%d-held-%s" % (args.seed, dom)), SIZES_HELD[dom])]
        trace[dom] = fresh(gen, random.Random("%d-trace-%s" % (args.seed, dom)), SIZES_TRACE[dom])
        train += [(dom, d) for d in
                  fresh(gen, random.Random("%d-train-%s" % (args.seed, dom)), SIZES_TRAIN[dom])]

    chapters = bible()
    rng = random.Random("%d-kjv" % args.seed)
    rng.shuffle(chapters)
    total = 0
    while total < SIZES_HELD["kjv"]:
        doc = chapters.pop()
        total += len(doc) + 2
        held.append(("kjv", doc))
    train += [("kjv", c) for c in chapters]
    trace["kjv"], total = [], 0
    for doc in chapters:
        if total > SIZES_TRACE["kjv"]:
            break
        trace["kjv"].append(doc)
        total += len(doc) + 2

    random.Random("%d-shuffle-train" % args.seed).shuffle(train)
    random.Random("%d-shuffle-held" % args.seed).shuffle(held)
    trained = {t for _, t in train}
    assert not any(t in trained for _, t in held)

    for name, docs in (("train", train), ("heldout", held)):
        with open(os.path.join(args.out, name + ".jsonl"), "w", encoding="utf-8") as f:
            for dom, text in docs:
                f.write(json.dumps({"domain": dom, "text": text}, ensure_ascii=False) + "\n")
    with open(os.path.join(args.out, "heldout.txt"), "w", encoding="utf-8") as f:
        f.write("\n\n".join(t for _, t in held) + "\n")
    for dom, docs in trace.items():
        with open(os.path.join(args.out, "corpus", dom + ".txt"), "w", encoding="utf-8") as f:
            f.write("\n\n".join(docs) + "\n")

    stats = {}
    for dom, text in train:
        n, size = stats.get(dom, (0, 0))
        stats[dom] = (n + 1, size + len(text.encode()))
    for dom in sorted(stats):
        print("%-11s %7d documents %9d bytes" % ((dom,) + stats[dom]))


if __name__ == "__main__":
    main()
