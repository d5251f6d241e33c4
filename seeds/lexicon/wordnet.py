"""Makes wordnet.tsv (term <TAB> cohort) from WordNet 3.0's dict files (Debian package wordnet-base).

    python wordnet.py /usr/share/wordnet > wordnet.tsv

A synset takes the label of the nearest root above it (breadth first over hypernyms). A term is taken when its first,
that is its most frequent, noun sense is labelled; so `bat` the animal does not make `bat` a sport.
"""
import re, sys
from collections import deque, defaultdict
from pathlib import Path

ROOTS = {
 "sports": "sport.1 athlete.1 sports_equipment.1 athletic_game.1 athletic_contest.1 team.1 stadium.1 ball.1 martial_art.1 field_game.1 outdoor_game.1 swimming.1 skiing.1 racing.1 gymnastics.1 playing_field.1 coach.2 bicycle.1 athletics.3 hunter.1 climber.3 match.2 race.2 tournament.1 sportsman.1 jockey.1 racer.1 water_sport.1 track_event.1 field_event.1 ballplayer.1 play.3 saddle.1 surfboard.1 skate.1 ski.1 golf_club.2",
 "technology": "computer.1 software.1 programming_language.1 electronic_equipment.1 electronic_device.1 semiconductor_device.1 peripheral.1 computer_network.1 programmer.1 telephone.1 camera.1 battery.2 television_receiver.1 memory_device.1 algorithm.1 data_processing.1 spacecraft.1 satellite.1 robot.1 nuclear_reactor.1 laser.1 protocol.2 website.1 database.1 biotechnology.1 code.3 engineering.2 computer_science.1 computer_architecture.1 data_structure.1 circuit.1 telecommunication.1 telecommunication.2 artificial_intelligence.1 computer_operation.1 electronics.1 technology.1 communication_system.1 telecommunication_system.1 electro-acoustic_transducer.1 solar_cell.1 fuel_cell.1 data_system.1 command.3 file.1 telescope.1 microscope.1 amplifier.1 display.4 modem.1 internet.1 data.1 wireless.4 user_interface.1 nanotechnology.1 computer_user.1 computer_expert.1 genetic_engineering.1 power_plant.1",
 "finance": "financial_institution.1 money.1 money.2 money.3 currency.1 tax.1 insurance.1 loan.1 security.4 investment.2 financier.1 investor.1 capitalist.2 fund.1 monetary_unit.1 accounting.1 accounting.2 financial_gain.1 assets.1 debt.1 stock.1 economics.1 negotiable_instrument.1 banker.2 accountant.1 stockbroker.1 payment.1 credit.2 pension.1 mortgage.1 financial_condition.1 budget.1 charge.3 interest.4 stock_market.1 stock_exchange.1 bond.2 account.3 financial_statement.1 banking.1 banking.2 commerce.1 financing.1 economist.1 businessman.1 broker.1 deposit.4 monetary_fund.1 coin.1",
 "entertainment": "movie.1 show.3 performer.1 actor.1 entertainer.1 dramatic_composition.1 comedy.1 comedian.1 television_program.1 broadcast.2 theater.1 novel.1 filmmaker.1 dramatist.1 circus.1 celebrity.1 fiction.1 comic_strip.1 cartoon.1 dance.2 dancing.1 film_director.1 screenwriter.1 television.1 magician.2 playwright.1 drama.1 novelist.1 magazine.1 story.2 fairytale.1 amusement.1 stage.3 theatrical_performance.1 acting.1 poem.1 screenplay.1",
 "fashion": "clothing.1 footwear.1 footwear.2 fabric.1 jewelry.1 cosmetic.1 hairdo.1 toiletry.1 headdress.1 garment.1 bag.4 couturier.1 spectacles.1 watch.1 needlework.1 natural_fiber.1 synthetic_fiber.1 fur.2 leather.1 adornment.1 trimming.1 trimming.2 fashion.3 hairdresser.1 tailor.1 fashion_designer.1 gem.2 lace.1 lace.2 overgarment.1 makeup.1 perfume.2 belt.2 knitting.1 sewing.1 thread.1 yarn.1 manner_of_dress.1 wallet.1 hat.1 clothes_designer.1",
 "travel": "travel.1 journey.1 hotel.1 vacation.1 resort.1 resort.2 airline.2 passenger_ship.1 airport.1 lodge.1 baggage.1 guidebook.1 tourist.1 public_transport.1 airliner.1 tour.1 inn.1 city.1 country.2 island.1 national_park.1 tourism.1 cruise.1 travel_guidebook.1 campsite.1 beach.1 passenger_train.1 boat.1 voyage.1 travel_agent.1 passport.1 hostel.1 traveler.1 passenger.1 monument.1 archipelago.1 national_capital.1 state_capital.1 sightseer.1 river.1 mountain.1 lake.1 railway_station.1 steamship_line.1 travel_iron.1 desert.1 tourist_court.1 museum.1",
 "food-drink": "food.1 food.2 beverage.1 foodstuff.2 produce.1 edible_fruit.1 vegetable.1 flavorer.1 restaurant.1 cook.1 cooking.1 meal.1 dish.2 dairy_product.1 bread.1 meat.1 seafood.1 brewery.1 winery.1 confectionery.1 confectionery.2 baker.1 course.7 barroom.1 fruit.1 edible_nut.1 alcohol.1 brewer.1 waiter.1 grape.1 herb.2 cuisine.1",
 "health-fitness": "disease.1 symptom.1 medicine.1 medicine.2 drug.1 medical_procedure.1 therapy.1 medical_practitioner.1 health_professional.1 exercise.1 injury.1 vitamin.1 hospital.1 disorder.1 illness.1 ill_health.1 medical_instrument.1 diet.1 diet.2 pregnancy.1 birth_control.1 mental_illness.1 pathology.2 phobia.1 infection.1 surgery.1 treatment.1 physical_therapy.1 specialist.2 abnormality.1 pain.1 pain.2 inflammation.1 dentistry.1 psychology.1 mental_disorder.1 healthcare.1 massage.1 gymnasium.1 antibiotic.1 vaccine.1 physical_condition.1 health.1 medical_science.1 nurse.1 patient.1 addiction.1 medical_building.1 exercise_device.1",
 "automotive": "motor_vehicle.1 automobile_engine.1 engine.1 driver.1 brake.1 tire.1 garage.1 garage.2 car_tire.1 driving.2 automobile_horn.1 transmission.5 car_wheel.1 fender.1 bumper.2 windshield.1 suspension_system.1 automobile.1 auto_accessory.1 gasoline.1 car_door.1 car_seat.1 car_window.1 carburetor.1 steering_wheel.1 steering_system.1 accelerator.1 radiator.3 exhaust.2 clutch.3 hood.6 gearshift.1 odometer.1 speedometer.1 highway.1 cooling_system.1 mechanic.1 automobile_mechanic.1 motorist.1 trailer.3 trailer.4",
 "gaming": "game.1 card_game.1 board_game.1 computer_game.1 game_equipment.1 playing_card.1 chessman.1 gambling.1 game_of_chance.1 gambler.1 gambler.2 casino.1 video_game.1 puzzle.1 toy.1 chess_player.1 card_player.1 chess_move.1 card_game.1 parlor_game.1 gamester.1 bridge_player.1 die.1 joystick.2 domino.4",
 "music": "musical_instrument.1 music.1 musical_composition.1 song.1 musician.1 musician.2 singer.1 musical_organization.1 music_genre.1 dance_music.1 musical_notation.1 composer.1 concert.1 sound_recording.1 singing.1 singing.2 opera.1 dance_band.1 conductor.1 musical_note.1 scale.5 melody.1 orchestra.1 vocal_music.1 percussionist.1 music_stool.1 record_player.1 radio_station.1 chord.2 voice.6 radio.1 musical_time.1 bandleader.1",
 "home-garden": "flower.1 furniture.1 furnishing.2 home_appliance.1 garden.1 gardening.1 houseplant.1 garden_tool.1 power_tool.1 hand_tool.1 kitchen_utensil.1 tableware.1 dwelling.1 room.1 curtain.1 lamp.1 lamp.2 floor_cover.1 bedclothes.1 cleaning_implement.1 detergent.1 lawn.1 plumbing_fixture.1 house.1 paint.1 wall_paper.1 wallpaper.1 gardener.1 gardener.2 shrub.1 vine.1 bulbous_plant.1 linen.3 ornamental.1 household_linen.1 cooking_utensil.1 repair.1 cleaning.1 housekeeper.1 carpentry.1 carpenter.1 white_goods.1 candle.1 fence.1 roof.1 floor.1 door.1 door.2 window.1 fireplace.1 housework.1 crockery.1 fertilizer.1 orchid.1 fern.1 wildflower.1 rose.1 composite.1 potted_plant.1 blanket.1 building_material.1 upholstery.1 interior_design.1",
 "none": "deity.1 spirit.4 time_period.1 number.2 animal.1 religion.1 religion.2 law.1 military_unit.1 agency.1 chemical_element.1 mathematics.1 body_part.1 relation.1 month.2 day.1 weekday.1 color.1 letter.2 letter.1 relative.1 weather.1 rock.1 pronoun.1 grammatical_category.1 measure.2 shape.2 legislature.1 court.1 government_officials.1 politician.1 clergyman.1 school.1 theology.1 property.2 direction.1 word.1 language.1 utterance.1 punctuation.1 document.1 tree.1 bacteria.1 fungus.1 geological_formation.1 philosophy.1 philosopher.1 saint.1 monarch.1 military_action.1 crime.1 idea.1 container.1 quality.1 feeling.1 department.1 ministry.1 soldier.1 weapon.1 process.1 act.2 message.2 administrative_unit.1 executive_department.1 committee.1",
}
BAD = re.compile(r"^(genus|family|order|class|phylum|subfamily|suborder|tribe|kingdom|division) ")

def main(folder, limit_none=1500):
    folder = Path(folder)
    index = {}
    for line in open(folder / "index.noun"):
        if line.startswith(" "): continue
        p = line.split()
        index[p[0]] = p[-int(p[2]):]
    up, down, names = defaultdict(list), defaultdict(list), {}
    lexfile = {}
    for line in open(folder / "data.noun"):
        if line.startswith(" "): continue
        p = line.split(" | ")[0].split()
        off, n = p[0], int(p[3], 16)
        lexfile[off] = int(p[1])
        names[off] = p[4:4 + 2 * n:2]
        at = 4 + 2 * n
        for k in range(int(p[at])):
            sym, target, pos = p[at + 1 + 4 * k: at + 4 + 4 * k]
            if pos == "n" and sym in ("@", "@i"): down[target].append(off)
    label, missing = {}, []
    queue = deque()
    for slug, roots in ROOTS.items():
        for root in roots.split():
            lemma, sense = root.rsplit(".", 1)
            offs = index.get(lemma, [])
            if len(offs) < int(sense): missing.append(root); continue
            off = offs[int(sense) - 1]
            if off not in label: label[off] = (slug, 0); queue.append(off)
    while queue:
        off = queue.popleft()
        for child in down[off]:
            if child not in label:
                label[child] = (label[off][0], label[off][1] + 1); queue.append(child)
    print("missing", missing, file=sys.stderr)
    used = defaultdict(int)
    for line in open(folder / "cntlist.rev"):
        key, _, count = line.split()
        lemma, rest = key.split("%")
        if rest[0] == "1": used[lemma] += int(count)
    rows, count = [], defaultdict(int)
    spelled = {o: [x.lower() for x in v] for o, v in names.items()}
    for lemma, offs in sorted(index.items()):
        term = lemma.replace("_", " ")
        if offs[0] not in label or not re.fullmatch(r"[a-z][a-z0-9'. -]{2,28}", term) or BAD.match(term) or len(term.split()) > 3: continue
        slug, depth = label[offs[0]]
        lex = lexfile[offs[0]]
        proper = names[offs[0]][spelled[offs[0]].index(lemma)][0].isupper() if lemma in spelled[offs[0]] else False
        # Latin names of plants and animals, and most of the world's rivers, are nobody's words
        if lex in (5, 20) and proper and slug in ("none", "home-garden"): continue
        if lex == 20 and slug != "home-garden" and slug != "food-drink": continue
        if slug == "none" and not used[lemma]: continue
        if slug == "travel" and lex == 15 and len(offs) > 2: continue
        rows.append((term, slug, used[lemma], depth))
    none = sorted((r for r in rows if r[1] == "none"), key=lambda r: (-r[2], r[0]))[:limit_none]
    rows = [r for r in rows if r[1] != "none"] + none
    CAP = 1500
    out = []
    for slug in ROOTS:
        mine = [r for r in rows if r[1] == slug]
        mine.sort(key=lambda r: (-min(r[2], 3), r[3], r[0]))
        out += [(slug, r[0]) for r in mine[:CAP]]
        print(slug, len(mine), file=sys.stderr)
    print("# term<TAB>cohort: derived by wordnet.py from the hypernym subtrees of WordNet 3.0.\n# WordNet 3.0 Copyright 2006 by Princeton University. All rights reserved. Used under the WordNet licence\n# (free to use, copy, modify and distribute with this notice; see https://wordnet.princeton.edu/license-and-commercial-use).")
    for slug, term in sorted(out): print(f"{term}\t{slug}")

if __name__ == "__main__": main(sys.argv[1])
